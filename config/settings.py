"""Tillgate's settings. Everything that differs between installations comes from the environment.

`.env.example` lists every variable. A required one that is missing stops the start with its name.
"""

import os
from pathlib import Path

import environ
from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _

from config.database import read_database

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
environ.Env.read_env(os.environ.get("ENV_FILE", BASE_DIR / ".env"))

# --- The installation -------------------------------------------------------------------------
DEMO = env.bool("DEMO", default=False)  # the embedded demo of `make run`: plain http, sample data
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS")  # Fernet keys: the first encrypts, all decrypt
SITE_URL = env.str("SITE_URL").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
SILENCED_SYSTEM_CHECKS = env.list("SILENCED_CHECKS", default=[])  # ids of core.checks that do not apply here
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)  # reverse proxies that append to X-Forwarded-For

# --- Applications -----------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "csp",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "core",
    "accounts",
    "notifications",
    "sandbox",
    "payments",
    "checkout",
    "config",
]
MIDDLEWARE = [
    "core.middleware.RequestIdMiddleware",
    "core.middleware.ApiSlashMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "core.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.back_office.content_policy",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False  # a redirect would lose a POST body; ApiSlashMiddleware serves both forms
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ]
        },
    }
]

# --- Database ---------------------------------------------------------------------------------
DATABASES = {"default": read_database(env.str("DATABASE_URL"), base=BASE_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://tillgate")}

BROKER_URL = env.str("BROKER_URL", default="")  # Celery's, for more than one machine: amqp://… or redis://…

# --- People -----------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# --- Language and time ------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("fr", _("French"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"

# --- Security ---------------------------------------------------------------------------------
SECURE = not DEMO  # the demo speaks plain http on this machine only
SECURE_SSL_REDIRECT = SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health"]  # probes come without TLS, from inside
SECURE_HSTS_SECONDS = 2 * 365 * 24 * 3600 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "core.errors.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
API_MAX_BODY_BYTES = 64 * 1024

# --- Static files -----------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEMO
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEMO
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- API --------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["core.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["core.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "core.schema.EnvelopeSchema",
    "DEFAULT_THROTTLE_RATES": {
        "payment_create": env.str("THROTTLE_PAYMENT_CREATE", default="20/min"),
        "payment_read": env.str("THROTTLE_PAYMENT_READ", default="300/min"),
    },
    "EXCEPTION_HANDLER": "core.errors.handle",
    "NUM_PROXIES": TRUSTED_PROXIES,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # ?format= is a parameter like any other
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS is no method of the API: /api/schema describes it
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tillgate API",
    "DESCRIPTION": (BASE_DIR / "config" / "api_description.md").read_text(encoding="utf-8"),
    "VERSION": "v1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVERS": [{"url": "/", "description": "This installation"}],  # whatever name it was reached by
    "TAGS": [
        {"name": "Payments", "description": "Start a payment and see what became of it. No key needed."},
        {"name": "Health", "description": "For probes and monitors."},
    ],
    "ENFORCE_NON_BLANK_FIELDS": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "PaymentStatus": "payments.models.Status",
        "PaymentMethod": "payments.models.Method",
        "CaptureMethod": "payments.models.CaptureMethod",
        "FailureCode": "payments.serializers.FAILURE_CODES",
        "NextActionType": "payments.serializers.NEXT_ACTIONS",
    },
}

# --- Payments ---------------------------------------------------------------------------------
PAYMENT_LIFETIME_HOURS = env.int("PAYMENT_LIFETIME_HOURS", default=24)

# The emulated provider's dials. FAULT: "" | slow | silent (acts, never answers) | down | garbage.
SANDBOX_FAULT = env.str("SANDBOX_FAULT", default="")
SANDBOX_SETTLE_SECONDS = env.float("SANDBOX_SETTLE_SECONDS", default=0.4)

# --- Admin ------------------------------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": _("Tillgate · Back office"),
    "SITE_HEADER": "Tillgate",
    "SITE_SUBHEADER": _("Back office"),
    "SITE_URL": "/",
    "SITE_ICON": "config.back_office.icon",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "config.back_office.icon"}],
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": ["config.back_office.stylesheet"],
    "SIDEBAR": {"navigation": "config.back_office.navigation"},
    "DASHBOARD_CALLBACK": "config.back_office.overview",
    "LOGIN": {"form": "accounts.forms.LogInForm"},
    "COLORS": {
        "primary": {
            "50": "#e9f3ee",
            "100": "#d3e8de",
            "200": "#a9d3c1",
            "300": "#78bba1",
            "400": "#46c49b",
            "500": "#2f9a78",
            "600": "#0d6b52",
            "700": "#095440",
            "800": "#0b4436",
            "900": "#11322a",
            "950": "#0a211b",
        }
    },
}

# --- Logging: one line an event on stdout, never a body ---------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "core.middleware.RequestIdFilter"}},
    "formatters": {"line": {"format": "{asctime} {levelname} {name} [{request_id}] {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"django": {"handlers": [], "propagate": True}},
}
