"""One settings file; everything that differs between a laptop and a cluster is an environment variable."""

from __future__ import annotations

from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

#: everything that the portal writes on this machine
GIJUN_HOME = Path(env("GIJUN_HOME", default=str(BASE_DIR / "var"))).resolve()
GIJUN_HOME.mkdir(parents=True, exist_ok=True)

DEBUG = env.bool("DEBUG", default=False)
#: shown at the foot of the menu, so that nobody takes one installation for another: "PROD", "DEV"
ENVIRONMENT_NAME = env("ENVIRONMENT_NAME", default="")


def _secret_key() -> str:
    """The key from SECRET_KEY, or the one that `manage.py init_home` wrote; never a default."""
    if key := env("SECRET_KEY", default=""):
        return key
    path = GIJUN_HOME / "secret_key"
    if path.is_file():
        return path.read_text().strip()
    raise ImproperlyConfigured(
        f"no SECRET_KEY in the environment and no {path}: run `python -m portal.init_home` once"
    )


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "portal",
    "apps.features",
    "apps.models",
    "apps.pipelines",
    "apps.serving",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_filters",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.middleware.ErrorPagesMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context_processors.shell",
            ],
            "builtins": ["portal.templatetags.gijun"],
        },
    }
]

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{GIJUN_HOME / 'gijun.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "portal.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "portal:login"
LOGIN_REDIRECT_URL = "portal:home"
LOGOUT_REDIRECT_URL = "portal:login"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "portal/lockout.html"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False

SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_SAMESITE = "Lax"
#: set HTTPS=true behind a TLS front: secure cookies, HSTS, redirects
HTTPS = env.bool("HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"

#: the style hashes are of plotly.js: the empty <style> element that it fills through CSSOM, and the map
#: style that its bundle adds when it is loaded
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [
            SELF,
            "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
            "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='",
        ],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ko", _("Korean"))]
LOCALE_PATHS = [BASE_DIR / "portal" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env("TIME_ZONE", default="Asia/Seoul")

STATIC_URL = "static/"
STATIC_ROOT = env("STATIC_ROOT", default=str(GIJUN_HOME / "static"))
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "portal.staticfiles.PlotlyFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.BasicAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.common.rest.HoldsARole"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.common.rest.StrictJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "portal.problems.exception_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Gijun",
    "DESCRIPTION": "The life of a bank's models, from feature to served score.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "portal.api_docs.document_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "FeatureSetStatus": "apps.features.models.FeatureSet.Status",
        "RunStatus": "apps.pipelines.models.PipelineRun.Status",
        "ReviewStatus": "apps.models.models.Review.Status",
        "StepState": "apps.pipelines.models.StepRun.State",
        "DeploymentState": "apps.serving.models.Deployment.State",
    },
}

REDIS_URL = env("REDIS_URL", default="redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 15,
}
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"

#: the Redis of the online feature store; it may be another one than the broker's
ONLINE_URL = env("ONLINE_URL", default=REDIS_URL)
#: delta:///path for Delta Lake tables on local disk; impala://user@host:21050/db and hive:// for a cluster
OFFLINE_URL = env("OFFLINE_URL", default=f"delta://{GIJUN_HOME / 'offline'}")
#: the editor sends two fields for each column of a feature set
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
#: a larger file than this is loaded on the server, by manage.py import_table
TABLE_UPLOAD_BYTES = env.int("TABLE_UPLOAD_BYTES", default=1_000_000_000)
#: what one query that somebody waits for may take: seconds, and memory of the embedded engine
PREVIEW_SECONDS = env.int("PREVIEW_SECONDS", default=20)
QUERY_SECONDS = env.int("QUERY_SECONDS", default=3600)
QUERY_MEMORY = env("QUERY_MEMORY", default="2GB")
ARTIFACT_ROOT = Path(env("ARTIFACT_ROOT", default=str(GIJUN_HOME / "artifacts")))
#: the Ed25519 key that signs manifests; only the portal reads it. Public keys lie beside it.
SIGNING_KEY = Path(env("SIGNING_KEY", default=str(GIJUN_HOME / "keys" / "signing.pem")))
#: keys of this installation in a shared Redis begin with it
REDIS_PREFIX = env("REDIS_PREFIX", default="gijun")
#: where a person reaches the serving workers (shown in pages and printed commands)
SERVING_URL = env("SERVING_URL", default="http://127.0.0.1:9000")
#: seconds; shortened in tests
STEP_LEASE_SECONDS = env.int("STEP_LEASE_SECONDS", default=30)
STEP_TIMEOUT_SECONDS = env.int("STEP_TIMEOUT_SECONDS", default=6 * 3600)
#: steps that one Celery worker runs at the same time, each in a process of its own
STEP_SLOTS = env.int("STEP_SLOTS", default=2)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", default="INFO")},
}
