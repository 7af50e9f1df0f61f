"""Tillgate's settings. Everything that differs between installations comes from the environment.

`.env.example` lists every variable. A required one that is missing stops the start with its name.
"""

import os
from datetime import timedelta
from pathlib import Path

import environ
from corsheaders.defaults import default_headers
from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _

from config.database import read_database
from config.mail import read_mail_server

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
    "axes",
    "corsheaders",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "core",
    "accounts",
    "notifications",
    "ledger",
    "sandbox",
    "payments",
    "refunds",
    "checkout",
    "config",
]
MIDDLEWARE = [
    "core.middleware.RequestIdMiddleware",
    "core.middleware.ApiSlashMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "core.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.back_office.acting_staff",
    "config.back_office.no_null_characters",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.back_office.content_policy",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
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

# --- Mail -------------------------------------------------------------------------------------
mail_server = read_mail_server(env.str("EMAIL_URL"))
EMAIL_BACKEND = mail_server.backend
EMAIL_HOST, EMAIL_PORT = mail_server.host, mail_server.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = mail_server.user, mail_server.password
EMAIL_USE_TLS, EMAIL_USE_SSL = mail_server.use_tls, mail_server.use_ssl
EMAIL_TIMEOUT = 10  # seconds for each answer of the server (core/mail.py)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL")
DEMO_MAIL_DIR = VAR_DIR / "mail"  # where the demo keeps mails (config/demo_mail.py)

# --- People -----------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_RESET_TIMEOUT = 3600  # seconds that a mailed link is good for
OPEN_REGISTRATION = env.bool("OPEN_REGISTRATION", default=False)  # whether anybody may make an account
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# Too many wrong passwords for an address from one network lock it out there, for the API and the back office.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # Retry-After holds for those who do not wait, too
AXES_CLIENT_IP_CALLABLE = "core.api.address_to_lock_out"
AXES_USERNAME_FORM_FIELD = "username"  # as authenticate() calls the address
AXES_USERNAME_CALLABLE = "accounts.services.spelling_of_user"
AXES_LOCKOUT_CALLABLE = "core.errors.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# Tokens for the API: a short one to use, and one to get the next pair with (accounts/tokens.py).
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": env.str("JWT_SIGNING_KEY"),
    "ISSUER": SITE_URL,
    "AUDIENCE": f"{SITE_URL}/api",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=10),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "USER_ID_CLAIM": "sub",
}

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
# Pages of any origin may use the public API (config/cors.py); the rest of it, those that are named here.
CORS_URLS_REGEX = r"^/api/v1/"
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_ALLOW_HEADERS = (*default_headers, "idempotency-key", "tillgate-merchant")
CORS_EXPOSE_HEADERS = [
    "Request-Id",
    "Idempotent-Replayed",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
]
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
        "log_in": env.str("THROTTLE_LOG_IN", default="30/min"),
        "debugger": env.str("THROTTLE_DEBUGGER", default="60/min"),
        "account": env.str("THROTTLE_ACCOUNT", default="100/hour"),
        "authenticated": env.str("THROTTLE_AUTHENTICATED", default="1200/min"),
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
        {"name": "Payments", "description": "Start a payment and see what became of it; follow and steer yours."},
        {"name": "Refunds", "description": "Give back what was paid, all of it or a part."},
        {"name": "Balance", "description": "What a merchant has, and every entry behind it."},
        {"name": "Events", "description": "What happened, each with the object as it was."},
        {"name": "Emails", "description": "Which mails are sent, and what was sent to whom."},
        {"name": "Webhooks", "description": "Be told of events, and see what was told."},
        {"name": "Accounts", "description": "Register, log in and out, and look after your password."},
        {"name": "Merchants", "description": "The merchants you belong to, and their settings."},
        {"name": "Members", "description": "A merchant's team and its roles."},
        {"name": "API keys", "description": "Secret keys for a merchant's programs."},
        {"name": "Customers", "description": "The people who pay a merchant."},
        {"name": "Health", "description": "For probes and monitors."},
    ],
    "ENFORCE_NON_BLANK_FIELDS": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "PaymentStatus": "payments.models.Status",
        "PaymentMethod": "payments.models.Method",
        "MerchantStatus": "accounts.models.Merchant.Status",
        "MerchantMode": "accounts.models.Merchant.Mode",
        "Role": "accounts.models.Membership.Role",
        "KeyStatus": "accounts.serializers.merchants.KEY_STATUSES",
        "Scope": "accounts.serializers.merchants.SCOPE_CHOICES",
        "Currency": "core.fields.CURRENCIES",
        "LedgerAccount": "ledger.models.Account",
        "JournalKind": "ledger.models.Kind",
        "EventType": "notifications.filters.TYPES",
        "EmailTemplate": "notifications.mails.TEMPLATES",
        "EmailStatus": "core.mail.Status",
        "WebhookEndpointStatus": "notifications.models.WebhookEndpoint.Status",
        "WebhookDeliveryStatus": "notifications.models.WebhookDelivery.Status",
        "RefundStatus": "refunds.models.Status",
        "RefundReason": "refunds.models.Reason",
        "CancellationReason": "payments.serializers.MERCHANT_REASONS",
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

# --- Webhooks ---------------------------------------------------------------------------------
EVENT_RETENTION_DAYS = env.int("EVENT_RETENTION_DAYS", default=90)  # events, and their deliveries
OUTBOUND_ALLOWED = env.list("OUTBOUND_ALLOWED", default=[])  # hosts and networks of ours that webhooks may go to

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

# --- Logging: one line an event on stdout, never a body or a token ----------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "core.middleware.RequestIdFilter"}},
    "formatters": {
        "line": {
            "()": "core.middleware.SecretPathFormatter",
            "fmt": "{asctime} {levelname} {name} [{request_id}] {message}",
            "style": "{",
            "paths": "/account/[a-z]+/",  # the token of a mailed link
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"django": {"handlers": [], "propagate": True}, "axes": {"level": "WARNING"}},
}
