"""Every vendor that the sandbox stands in for: one line each."""

from sandbox.routes.apollo import Apollo
from sandbox.routes.builtwith import BuiltWith
from sandbox.routes.findymail import Findymail
from sandbox.routes.mailverify import MailVerify
from sandbox.routes.reoon import Reoon
from sandbox.routes.tomba import Tomba
from sandbox.vendor import Vendor

VENDORS: tuple[type[Vendor], ...] = (
    Tomba,
    Findymail,
    Reoon,
    MailVerify,
    Apollo,
    BuiltWith,
)
