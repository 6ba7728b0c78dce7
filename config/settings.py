"""The one settings module. What differs between installations comes from `COUNTERSIGN_*` alone."""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from config.databases import database
from kernel.conf import settings_from_env

BASE_DIR = Path(__file__).resolve().parent.parent
COUNTERSIGN = settings_from_env(os.environ, base_dir=BASE_DIR)
COUNTERSIGN.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)

SECRET_KEY = COUNTERSIGN.secret_key
DEBUG = False
ALLOWED_HOSTS = [COUNTERSIGN.host, "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [COUNTERSIGN.public_url]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "guardian",
    "axes",
    "rest_framework",
    "drf_spectacular",
    "audit",
    "accounts",
    "registry",
    "monitoring",
    "governance",
    "reports",
    "web",
    "config",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.ContentSecurityPolicy",
    "config.middleware.NoNullCharacters",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "web.context.shell",
            ],
        },
    },
]

DATABASES = {"default": database(COUNTERSIGN.database_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Sign-in and re-authentication share one count of failures, for a name from an address.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "web/locked.html"
AXES_VERBOSE = False
# Its own back office could delete attempts, which nothing would have on record.
AXES_ENABLE_ADMIN = False

LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in/"
# guardian would otherwise add an anonymous user at each migrate
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = COUNTERSIGN.data_dir / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = COUNTERSIGN.https
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if COUNTERSIGN.https else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if COUNTERSIGN.https else None
X_FRAME_OPTIONS = "DENY"
# Above this, an upload goes to a temporary file; the services hash it while they read.
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024**2
DATA_UPLOAD_MAX_MEMORY_SIZE = COUNTERSIGN.max_json_bytes

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.rest.authentication.TokenAuthentication",
        "accounts.rest.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.rest.permissions.DeclaredAction"],
    "DEFAULT_PARSER_CLASSES": ["kernel.rest.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "kernel.rest.pagination.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "kernel.rest.schema.OperationSchema",
    "EXCEPTION_HANDLER": "kernel.rest.problems.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "COMPACT_JSON": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countersign",
    "DESCRIPTION": "Governance and compliance audit service for machine-learning models.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["accounts.rest.permissions.DeclaredAction"],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "ENUM_NAME_OVERRIDES": {
        "DatasetPurposeEnum": "registry.models.DatasetUse.Purpose",
        "RunPurposeEnum": "monitoring.models.CheckRun.Purpose",
        "AccountKindEnum": "accounts.models.User.Kind",
        "DeploymentKindEnum": "registry.models.Deployment.Kind",
        "CheckKindEnum": "monitoring.models.CheckKind",
        "BatchKindEnum": "monitoring.models.ObservationBatch.Kind",
        "RunStateEnum": "monitoring.models.CheckRun.State",
        "BacktestStateEnum": "monitoring.models.Backtest.State",
        "GatePurposeEnum": "governance.models.GateDecision.Purpose",
    },
    "PREPROCESSING_HOOKS": ["kernel.rest.schema.each_path_once"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "kernel.rest.schema.add_problems",
    ],
}

CELERY_BROKER_URL = COUNTERSIGN.broker_url
# Who only tells the queue gives up at once where no broker answers: the sweep tells it later.
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
if COUNTERSIGN.broker_url.startswith("redis"):
    # SQLAlchemy's transport would hand these to its engine, which refuses them.
    CELERY_BROKER_TRANSPORT_OPTIONS |= {"visibility_timeout": 3600, "socket_connect_timeout": 2}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "config.logs.JSONFormatter"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": sys.stderr}
    },
    "root": {"handlers": ["stderr"], "level": COUNTERSIGN.log_level},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}

# Evidently's service half would report usage; the report half that runs here does not. Said anyway.
os.environ.setdefault("DO_NOT_TRACK", "1")
