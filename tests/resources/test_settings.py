"""The settings file: everything optional, every mistake told with its line."""

from decimal import Decimal
from pathlib import Path

import pytest

from phase3_core.budget import Caps
from phase3_core.errors import BadInput
from phase3_core.money import usd
from phase3_core.policy import PILOT, STANDARD, Thresholds
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.providers.catalogue import row
from resources.providers.line_up import agreed, daily_caps, in_order
from resources.settings import Settings, read_settings, settings_path


def written(directory: Path, text: str) -> Path:
    path = directory / "phase3.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_everything_has_a_default() -> None:
    settings = read_settings(None)
    assert settings == Settings()
    assert settings.policy().thresholds == STANDARD


def test_the_file_is_the_one_named_or_the_one_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings_path({}) is None
    written(tmp_path, "")
    assert settings_path({}) == Path("phase3.toml")
    assert settings_path({"PHASE3_SETTINGS": "/etc/phase3.toml"}) == Path("/etc/phase3.toml")


def test_a_price_is_exact_whether_text_or_number(tmp_path: Path) -> None:
    settings = read_settings(
        written(tmp_path, '[providers.tomba]\nprice_usd = 0.1\n[providers.reoon]\nprice_usd = "0.003"')
    )
    assert settings.provider("tomba").price_usd == Decimal("0.1")
    assert settings.provider("reoon").price_usd == Decimal("0.003")


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("[providers.tomba]\nprice_usd = -1\n", 2, "price_usd"),
        ('[providers.tomba]\n\n# a note\nper_minute = "many"\n', 4, "per_minute"),
        ("[providers.tomba]\ncolour = 1\n", 2, "colour"),
        ("[thresholds]\npreset = 'huge'\n", 2, "preset"),
        ("[budgets]\nalert_at = 1.5\n", 2, "alert_at"),
        ("[budgets]\ntier_usd = { D = 1 }\n", 2, "tier_usd"),
        ("[budgets]\n\nenrichment_usd = -1\n", 3, "enrichment_usd"),
        ("[waterfall]\nmax_providers_per_lead = 0\n", 2, "max_providers_per_lead"),
        ("[ledger]\nfresh_days = 0\n", 2, "fresh_days"),
        ('[web]\ncontact = "a\\nb"\n', 2, "contact"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, text: str, line: int, word: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput, match=rf"phase3\.toml:{line}: .*{word}"):
        read_settings(path)


def test_what_is_no_toml_and_what_is_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no TOML"):
        read_settings(written(tmp_path, "= 3"))
    with pytest.raises(BadInput, match="cannot be read"):
        read_settings(tmp_path / "absent.toml")


def test_a_run_may_choose_another_preset_and_force_its_way(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, "[thresholds]\nmin_emails = 7\nforce_continue = true\n"))
    assert settings.policy().thresholds == Thresholds(7, STANDARD.min_enriched, STANDARD.min_tier_a_ready)
    assert settings.policy().force_continue
    assert settings.policy(preset="pilot", force_continue=False).thresholds == PILOT
    assert not settings.policy(preset="pilot", force_continue=False).force_continue


def test_a_contract_replaces_price_and_limits_of_the_catalogue(tmp_path: Path) -> None:
    settings = read_settings(
        written(tmp_path, '[providers.tomba]\nprice_usd = "0.0078"\nper_second = 10\nin_flight = 3\n')
    )
    terms = agreed(row("tomba").terms, settings.provider("tomba"))
    assert terms.price.per_credit == Decimal("0.0078")
    assert terms.price.billing is row("tomba").terms.price.billing
    assert (terms.limits.rate, terms.limits.in_flight) == (10, 3)


def test_the_order_of_finders_is_as_configured_and_leaves_the_others_out(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, '[waterfall]\norder = ["findymail", "tomba"]\n'))
    finders = [each.name for each in in_order(settings) if each.spec.role == "finder"]
    assert finders == ["findymail", "tomba"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[waterfall]\norder = ["tomba", "nobody"]\n', r":2: waterfall\.order: nobody is no finder"),
        ("# mine\n[providers.nobody]\nenabled = false\n", r":2: providers\.nobody: no such provider"),
        ('[waterfall]\norder = ["reoon"]\n', "reoon is no finder"),
        ('[waterfall]\norder = ["tomba", "tomba"]\n', "twice"),
        ('[waterfall]\norder = ["nimbler"]\n', "unconfirmed"),
        ('[providers.tomba]\nenabled = false\n[waterfall]\norder = ["tomba"]\n', ":4: .*switched off"),
    ],
)
def test_a_contradiction_fails_with_its_line_before_anything_starts(
    tmp_path: Path, text: str, told: str
) -> None:
    settings = read_settings(written(tmp_path, text))
    with pytest.raises(BadInput, match=told):
        in_order(settings)


def test_a_runs_own_settings_win_over_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path, '[providers.tomba]\nprice_usd = "0.01"\nin_flight = 3\n[waterfall]\nguessing = false\n'
    )
    own = {"providers": {"tomba": {"price_usd": "0.002"}}, "waterfall": {"order": ["tomba"]}}
    settings = read_settings(path, own)
    assert settings.provider("tomba").price_usd == Decimal("0.002")
    assert settings.provider("tomba").in_flight == 3
    assert (settings.waterfall.order, settings.waterfall.guessing) == (("tomba",), False)


def test_a_mistake_in_a_runs_own_settings_names_the_run_config(tmp_path: Path) -> None:
    path = written(tmp_path, '[providers.tomba]\nprice_usd = "0.01"\n')
    with pytest.raises(BadInput, match=r"run config: providers\.tomba\.price_usd"):
        read_settings(path, {"providers": {"tomba": {"price_usd": "much"}}})
    settings = read_settings(path, {"waterfall": {"order": ["nobody"]}})
    with pytest.raises(BadInput, match=r"run config: waterfall\.order"):
        in_order(settings)


def test_a_runs_own_cap_goes_before_the_campaigns_and_that_before_the_files(tmp_path: Path) -> None:
    file = written(tmp_path, "[budgets]\nenrichment_usd = 1\nemail_verification_usd = 2\ntier_usd.A = 3\n")
    settings = read_settings(file, {"budgets": {"enrichment_usd": "7"}})
    own = Caps({Agent.ENRICHMENT: usd(5), Agent.EMAIL_VERIFICATION: usd(6)})
    held = settings.caps(own, {"reoon": usd(4)})
    assert held.agents == {Agent.ENRICHMENT: usd(7), Agent.EMAIL_VERIFICATION: usd(6)}
    assert (held.tiers, held.daily) == ({Tier.A: usd(3)}, {"reoon": usd(4)})


def test_only_a_lead_is_capped_unless_something_is_set() -> None:
    settings = Settings()
    assert settings.caps(Caps(), daily_caps(settings, {})) == Caps()
    usual = settings.policy().lead_caps
    assert usual.verification == usd("0.50")
    assert usual.enrichment == {Tier.A: usd("0.50"), Tier.B: usd("0.20"), Tier.C: usd("0.05")}


def test_a_tiers_cap_for_a_lead_may_be_another() -> None:
    settings = Settings.model_validate({"budgets": {"per_lead_usd": {"C": "0.10"}}})
    assert settings.policy().lead_caps.profile(Tier.C).cap == usd("0.10")
    assert settings.policy().lead_caps.profile(Tier.A).cap == usd("0.50")


def test_what_a_valid_address_may_cost_is_the_policys_and_usually_anything() -> None:
    assert Settings().policy().per_valid is None
    capped = Settings.model_validate({"budgets": {"per_valid_address_usd": "0.08"}})
    assert capped.policy().per_valid == usd("0.08")


def test_leads_wait_for_a_finder_only_where_it_is_said_for_how_much() -> None:
    assert Settings().policy().patience is None
    patient = Settings.model_validate({"waterfall": {"wait_if_dearer_usd": "0.01"}})
    assert patient.policy().patience == usd("0.01")


def test_a_lost_answer_may_cost_a_share_of_what_its_tier_is_worth_only_where_both_are_set() -> None:
    worth = {"worth_usd": {"A": "0.50", "C": "0.05"}}
    both = Settings.model_validate({"waterfall": worth | {"loss_tolerance": "0.1"}})
    assert both.waterfall.tolerated_losses == {Tier.A: usd("0.05"), Tier.C: usd("0.005")}
    for one in (worth, {"loss_tolerance": "0.1"}):
        assert Settings.model_validate({"waterfall": one}).waterfall.tolerated_losses == {}


def test_a_day_under_which_nothing_can_be_asked_is_told_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, "[providers.reoon]\n\nper_day_usd = 0.001\n")
    with pytest.raises(BadInput, match=rf"{file}:3: providers.reoon.per_day_usd: one call may cost 0.001190"):
        daily_caps(read_settings(file), {})
