"""What a person does in Dagster's UI with a campaign: starts it, watches it, reads its report, decides."""

from dataclasses import dataclass

from tests.end_to_end.browser import Page

GROUP = "/locations/__repository__@phase3/asset-groups/phase3/lineage"
CTRL = 2
DIALOG = "[role=dialog]"
LIST = ".dagster-popover *"
TOAST = "[data-sonner-toast] *"


@dataclass(frozen=True)
class UI:
    """The web server at `url`, in a browser."""

    page: Page
    url: str

    def open_graph(self, campaign_id: str = "") -> None:
        """With the campaign chosen, for what the dialog begins with depends on what has been loaded."""
        self.page.open(f"{self.url}{GROUP}?default_range={campaign_id}")
        self.page.see("tier_report")

    def open_campaign(self, asset: str, campaign_id: str) -> None:
        """What the asset's page shows of it."""
        self.page.open(f"{self.url}/assets/{asset}?view=partitions&partition={campaign_id}")
        self.page.see("Latest materialization")

    def materialize_all(self, campaign_id: str) -> None:
        """The button of the graph; then the run's page is open."""
        self.open_graph(campaign_id)
        self.page.open_by("button", "Materialize all", DIALOG)
        self.page.click(f"{DIALOG} button", "Launch 1 run")
        self.page.click(TOAST, "View")

    def open_report(self, campaign_id: str) -> None:
        self.open_campaign("tier_report", campaign_id)
        self.page.open_by("button, a", "Show Markdown", DIALOG, "From lead to ready lead")

    def open_form(self, campaign_id: str) -> None:
        """The form of the gate, with the campaign chosen and what is missing named."""
        self.open_campaign("approval", campaign_id)
        self.page.open_by("button", "Materialize", DIALOG)
        self.page.see("Missing required config entries ['decided_by', 'decision']", DIALOG)
        self.page.open_by(f"{DIALOG} input[placeholder=Partition]", "", LIST, campaign_id)
        self.page.click(LIST, campaign_id)

    def fill_in(self, form: dict[str, str]) -> None:
        self.page.click(f"{DIALOG} .CodeMirror-line", "feedback")
        self.page.press("a", 65, CTRL, commands=["selectAll"])
        answers = "".join(f"      {name}: {value}\n" for name, value in form.items())
        self.page.type(f"ops:\n  approval:\n    config:\n{answers}")
        self.page.see("No missing config", DIALOG)

    def send_form(self) -> None:
        """Then the run's page is open."""
        self.page.click(f"{DIALOG} button", "Materialize")

    def see_run_succeed(self) -> None:
        """On the run's page, which changes by itself."""
        self.page.see("Success", "[class*=BaseTag]")
