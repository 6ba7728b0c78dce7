"""Entries as events of the Open Cybersecurity Schema Framework (OCSF 1.3), for a SIEM.

Pure: takes the leaf as JSON. What has a class of its own there (sign-ins, accounts, privileges, starts)
gets it; all else is Entity Management. Source of the classes: https://schema.ocsf.io/1.3.0
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

VERSION = "1.3.0"
_IAM, _APPLICATION = 3, 6
_ACCOUNT_CHANGE, _AUTHENTICATION, _ENTITY, _ACCESS, _LIFECYCLE = 3001, 3002, 3004, 3005, 6002
_OTHER = 99
_INFORMATIONAL, _LOW, _MEDIUM, _HIGH = 1, 2, 3, 4
_SUCCESS, _FAILURE = 1, 2
_USER_TYPES = {"person": 1, "service": 3, "system": 3}

# Entry type: (class, activity).
_CLASSES: dict[str, tuple[int, int]] = {
    "accounts.session.started": (_AUTHENTICATION, 1),
    "accounts.user.created": (_ACCOUNT_CHANGE, 1),
    "accounts.password.changed": (_ACCOUNT_CHANGE, 3),
    "accounts.password.reset": (_ACCOUNT_CHANGE, 4),
    "accounts.user.deactivated": (_ACCOUNT_CHANGE, 5),
    "accounts.person.erased": (_ACCOUNT_CHANGE, 6),
    "accounts.role.granted": (_ACCESS, 1),
    "accounts.role.ended": (_ACCESS, 2),
    "registry.role.granted": (_ACCESS, 1),
    "registry.role.ended": (_ACCESS, 2),
    "audit.process.started": (_LIFECYCLE, 3),
}
# The last word of an entry type, where it is one of Entity Management's activities.
_ACTIVITIES: dict[str, int] = {
    **dict.fromkeys(("registered", "created", "added", "opened", "started", "issued"), 1),
    "read": 2,
    **dict.fromkeys(("amended", "changed", "set", "closed", "ended", "retired"), 3),
    **dict.fromkeys(("erased", "revoked"), 4),
}
_SEVERITIES: dict[str, int] = {
    "audit.write.refused": _LOW,
    "audit.epoch.started": _HIGH,
    "audit.payload.erased": _MEDIUM,
    "accounts.person.erased": _MEDIUM,
    "accounts.password.reset": _LOW,
    "governance.incident.opened": _HIGH,
    "governance.suspension.started": _MEDIUM,
    "monitoring.breach.opened": _MEDIUM,
}


def event_of(
    leaf: Mapping[str, Any],
    *,
    leaf_hash: str,
    product_version: str,
    checkpoint: str | None = None,
) -> dict[str, Any]:
    """Return the OCSF event of an entry. `unmapped` holds its public facts as they are.

    `leaf_hash` (hex) and the newest checkpoint make the SIEM a witness of the log.
    """
    kind = str(leaf["type"])
    public: Mapping[str, Any] = leaf["public"]
    refused = kind == "audit.write.refused"
    class_uid, activity = _classify(kind)
    return {
        "category_uid": _APPLICATION if class_uid == _LIFECYCLE else _IAM,
        "class_uid": class_uid,
        "activity_id": activity,
        "activity_name": kind.rpartition(".")[2],
        "type_uid": class_uid * 100 + activity,
        "severity_id": _SEVERITIES.get(kind, _INFORMATIONAL),
        "status_id": _FAILURE if refused else _SUCCESS,
        **({"status_code": str(public.get("code"))} if refused else {}),
        "time": round(datetime.fromisoformat(str(leaf["at"])).timestamp() * 1000),
        "message": _message(leaf),
        "metadata": {
            "version": VERSION,
            "uid": leaf["id"],
            "event_code": kind,
            "original_time": leaf["at"],
            "log_name": "countersign audit log",
            "product": {
                "name": "Countersign",
                "vendor_name": "Countersign",
                "version": product_version,
            },
        },
        "actor": {"user": _user(leaf["actor"])},
        **_subject(class_uid, leaf),
        "unmapped": {
            "public": dict(public),
            "scope": leaf.get("scope"),
            "leaf_hash": leaf_hash,
            "checkpoint": checkpoint,
        },
    }


def _classify(kind: str) -> tuple[int, int]:
    known = _CLASSES.get(kind)
    return known or (_ENTITY, _ACTIVITIES.get(kind.rpartition(".")[2], _OTHER))


def _user(actor: Mapping[str, Any]) -> dict[str, Any]:
    user = {"uid": actor["ref"], "type_id": _USER_TYPES.get(str(actor["kind"]), 0)}
    return {**user, "name": actor["name"]} if "name" in actor else user


def _subject(class_uid: int, leaf: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that a class requires beside those that all have."""
    about, public = leaf["object"], leaf["public"]
    entity = {"uid": about["id"], "type": about["type"]}
    if class_uid in (_ACCOUNT_CHANGE, _AUTHENTICATION):
        return {"user": {"uid": str(public.get("user", about["id"]))}}
    if class_uid == _ACCESS:
        place = public.get("model") or public.get("portfolio") or "organisation"
        return {
            "user": {"uid": str(public["user"])},
            "privileges": [str(public["role"])],
            "resource": {"name": str(place)},
        }
    if class_uid == _LIFECYCLE:
        return {"app": {"name": f"countersign {public['component']}", "vendor_name": "Countersign"}}
    return {"entity": entity}


def _message(leaf: Mapping[str, Any]) -> str:
    """`registry.version.registered` of a version as "registry: version registered (version <id>)"."""
    app, _, rest = str(leaf["type"]).partition(".")
    about = leaf["object"]
    return f"{app}: {rest.replace('.', ' ').replace('_', ' ')} ({about['type']} {about['id']})"
