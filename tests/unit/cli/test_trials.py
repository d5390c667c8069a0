import pytest

from tapewatch.cli.main import main

FILE = """\
rules:
  - {name: surge, when: volume_surge_1m > 4}
trials:
  - name: it fires
    series: [{metric: volume_surge_1m, values: 1 5 1}]
    expect:
      - {at: 10s, state: firing}
      - {at: 20s, state: resolved}
"""


@pytest.fixture
def tried(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def tried(text=None, *more):
        arguments = ["test-rules", *more]
        if text is not None:
            (tmp_path / "trial.yaml").write_text(text)
            arguments.append("trial.yaml")
        code = main(arguments)
        told = capsys.readouterr()
        return code, told.out, told.err

    return tried


def test_the_shipped_examples_of_the_ready_made_rules_pass(tried):
    code, out, err = tried()
    assert (code, out) == (0, "")
    assert err.endswith(" passed, 0 failed\n")
    assert not err.startswith("0 ")


def test_a_file_that_passes(tried):
    assert tried(FILE) == (0, "", "1 passed, 0 failed\n")


def test_what_passed_is_shown_if_it_is_wanted(tried):
    code, out, _ = tried(FILE, "-v")
    assert code == 0
    assert out.startswith("ok  it fires  (trial.yaml:4)\n           10s  firing    surge")


def test_a_failure_shows_what_came_and_what_should_have(tried):
    code, out, err = tried(FILE.replace("at: 10s", "at: 0s"))
    assert (code, err) == (1, "0 passed, 1 failed\n")
    assert out.splitlines()[0] == "FAILED  it fires  (trial.yaml:4)"
    assert [line[4] for line in out.splitlines()[1:]] == ["-", "+", " "]


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("volume_surge_1m > 4", "volume_surge_1 > 4", "trial.yaml:2:25", "unknown metric"),
        ("metric: volume", "metric: volum", "trial.yaml:5:23", "unknown metric"),
        ("values: 1 5 1", "values: 1 five 1", "trial.yaml:5:48", "'five' is no value"),
        ("at: 10s", "at: soon", "trial.yaml:7:14", "'soon' is no length of time"),
        ("state: firing", "state: fire", "trial.yaml:7:26", "unknown value 'fire'"),
        ("expect:", "expected:", "trial.yaml:6:5", "did you mean `expect`?"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_column(tried, old, new, place, words):
    code, out, err = tried(FILE.replace(old, new, 1))
    assert (code, out) == (2, "")
    assert f"--> {place}" in err
    assert words in err


def test_a_fault_hides_no_other(tried):
    text = FILE.replace("when: volume_surge_1m", "hold_secs: -1, when: volume_surge1m")
    text = text.replace("state: firing", "state: fire").replace("at: 20s", "at: soon")
    text = text.replace(
        "metric: volume_surge_1m, values: 1 5 1", "values: 1 five, metric: volum_1m"
    )
    code, out, err = tried(text)
    assert (code, out) == (2, "")
    places = [line.split()[1] for line in err.splitlines() if "-->" in line]
    assert places == [f"trial.yaml:{at}" for at in ("2:30", "2:40", "5:23", "5:39", "7:26", "8:14")]
    assert "unknown metric volume_surge1m" in err
    assert "did you mean volume_surge_1m" in err
    assert err.endswith("6 problems found. Nothing was started.\n")


def test_a_file_that_is_not_there_is_said(tried):
    code, _, err = tried(None, "nowhere.yaml")
    assert (code, err) == (2, "error: cannot read nowhere.yaml: No such file or directory\n")


def test_without_rules_of_its_own_the_rules_of_the_settings_are_meant(tried, tmp_path):
    (tmp_path / "tapewatch.yaml").write_text(
        "alerts: {rules: [{name: mine, when: volume_surge_1m > 4}]}\n"
    )
    text = FILE.partition("trials:")[2]
    code, _, err = tried(f"trials:{text}".replace("10s, state", "10s, rule: mine, state"))
    assert (code, err) == (0, "1 passed, 0 failed\n")
