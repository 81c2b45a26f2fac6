"""Every vendor that the sandbox stands in for: one line each."""

from sandbox.routes.anymailfinder import Anymailfinder
from sandbox.routes.apollo import Apollo
from sandbox.routes.brave import Brave
from sandbox.routes.builtwith import BuiltWith
from sandbox.routes.claude import Claude
from sandbox.routes.clearbit import Clearbit
from sandbox.routes.findymail import Findymail
from sandbox.routes.icypeas import Icypeas
from sandbox.routes.mailverify import MailVerify
from sandbox.routes.muraena import Muraena
from sandbox.routes.nimbler import Nimbler
from sandbox.routes.people_data_labs import PeopleDataLabs
from sandbox.routes.reoon import Reoon
from sandbox.routes.serper import Serper
from sandbox.routes.tavily import Tavily
from sandbox.routes.tomba import Tomba
from sandbox.routes.voila_norbert import VoilaNorbert
from sandbox.routes.zoominfo import ZoomInfo
from sandbox.vendor import Vendor

VENDORS: tuple[type[Vendor], ...] = (
    Tomba,
    Muraena,
    VoilaNorbert,
    Nimbler,
    Icypeas,
    Anymailfinder,
    Findymail,
    Reoon,
    MailVerify,
    Apollo,
    Clearbit,
    PeopleDataLabs,
    ZoomInfo,
    BuiltWith,
    Brave,
    Claude,
    Serper,
    Tavily,
)
