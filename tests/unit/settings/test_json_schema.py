from tapewatch.settings.json_schema import json_schema
from tapewatch.settings.schema import Settings


def test_the_schema_covers_core_and_plug_ins(plugins):
    schema = json_schema(plugins)

    components = schema["$defs"]
    core = components["Settings"]
    assert set(core["properties"]) == set(Settings.__struct_fields__)
    assert core["additionalProperties"] is False
    assert core["properties"]["exchanges"]["properties"]["binance"] == {
        "$ref": "#/$defs/VenueConfig"
    }
    assert "ws_url" in components["VenueConfig"]["properties"]
    storage = components["Storage"]["properties"]
    assert {"backend", "data_dir", "parquet"} <= set(storage)
    assert "sections" not in storage
    assert components["Email"]["properties"]["password"]["anyOf"][0]["format"] == "password"
