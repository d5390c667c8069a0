from tapewatch.model.secret import Secret
from tapewatch.settings.origin import list_values, view
from tapewatch.settings.schema import Alerts, Email, Settings, Storage


def settings():
    email = Email(smtp_host="h", password=Secret("geheim"), from_addr="a", to_addrs=("b",))
    storage = Storage(redis_url="redis://u:geheim@h/0", sections={"parquet": Storage()})
    return Settings(alerts=Alerts(email=email), storage=storage)


def test_the_view_for_config_has_no_secret():
    shown = view(settings())
    assert shown["alerts"]["email"]["password"] == "***"
    assert "geheim" not in str(shown)


def test_every_value_is_listed_once_with_its_path():
    paths = [value.path for value in list_values(settings(), lambda path: "default")]
    assert len(paths) == len(set(paths))
    assert {"alerts.email.to_addrs", "storage.parquet.data_dir", "log.level"} <= set(paths)


def test_a_secret_that_is_empty_is_shown_as_empty():
    email = Email(smtp_host="h", password=Secret(""), from_addr="a", to_addrs=())
    shown = list_values(Alerts(email=email), lambda path: "default")
    assert {value.path: value.value for value in shown}["email.password"] == ""
