"""What a question about the past takes from the settings."""

from tapewatch.rules.notices import Policy
from tapewatch.rules.preview import Question
from tapewatch.rules.rule import Rule
from tapewatch.runtime.launch import processors_of
from tapewatch.runtime.preview import beside

RULE = Rule(name="mine", when="big_trade > 4")
POLICY = Policy({"mine": RULE}, ("desk",), (), group_wait_secs=9.0, group_interval_secs=60.0)


class Aside:
    async def run(self, work, *given):
        self.given = given
        return work


async def test_it_is_grouped_as_the_settings_say():
    aside = Aside()
    measures = processors_of({})[0].measures
    await beside(aside, measures, POLICY)(Question(rule=RULE, since=0, until=1))
    asked, told = aside.given
    assert told == measures
    assert asked.policy == Policy({}, ("desk",), (), 9.0, 60.0)
