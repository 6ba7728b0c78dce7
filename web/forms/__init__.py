"""What people type. A form reads and keeps the words; whether they are right, the services say."""

from web.forms.asking import AskCheck, AuditSearch, RequestReport
from web.forms.data import DeclareNotCollected, RollUp
from web.forms.datasets import RegisterDataset, made_from_forms
from web.forms.deciding import (
    AskWaiver,
    Classify,
    Closure,
    Conclude,
    FindingForm,
    Reason,
    Resolve,
    Sign,
    Submit,
    WriteValidation,
    finding_forms,
)
from web.forms.fields import PlainForm
from web.forms.people import (
    ChangePassword,
    GrantOn,
    GrantRole,
    NewPerson,
    NewServiceAccount,
    NewToken,
    SignIn,
)

__all__ = [
    "AskCheck",
    "AskWaiver",
    "AuditSearch",
    "ChangePassword",
    "Classify",
    "Closure",
    "Conclude",
    "DeclareNotCollected",
    "FindingForm",
    "GrantOn",
    "GrantRole",
    "NewPerson",
    "NewServiceAccount",
    "NewToken",
    "PlainForm",
    "Reason",
    "RegisterDataset",
    "RequestReport",
    "Resolve",
    "RollUp",
    "Sign",
    "SignIn",
    "Submit",
    "WriteValidation",
    "finding_forms",
    "made_from_forms",
]
