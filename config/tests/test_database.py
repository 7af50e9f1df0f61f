import pytest
from django.core.exceptions import ImproperlyConfigured

from config import database
from config.database import read_database


class TestReadDatabase:
    def test_keeps_sqlite_beside_the_code(self, tmp_path):
        read = read_database("sqlite:///var/shop.sqlite3", base=tmp_path)
        assert read["NAME"] == tmp_path / "var" / "shop.sqlite3"
        assert (tmp_path / "var").is_dir()

    def test_takes_an_absolute_path_of_sqlite(self, tmp_path):
        assert read_database(f"sqlite:///{tmp_path}/shop.sqlite3", base=tmp_path / "other")["NAME"] == (
            tmp_path / "shop.sqlite3"
        )

    def test_tests_on_a_file_of_their_own(self, tmp_path):
        read = read_database("sqlite:///shop.sqlite3", base=tmp_path)
        assert read["TEST"]["NAME"] == tmp_path / "shop-test.sqlite3"

    @pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
    def test_reads_postgresql(self, scheme, tmp_path, every_driver):
        read = read_database(f"{scheme}://ann:p%40ss@db.example.com:5433/shop", base=tmp_path)
        assert read["ENGINE"] == "django.db.backends.postgresql"
        assert (read["HOST"], read["PORT"], read["NAME"]) == ("db.example.com", 5433, "shop")
        assert (read["USER"], read["PASSWORD"]) == ("ann", "p@ss")

    def test_makes_mysql_exact(self, tmp_path, every_driver):
        options = read_database("mysql://ann@db/shop", base=tmp_path)["OPTIONS"]
        assert options["charset"] == "utf8mb4"
        assert options["isolation_level"] == "read committed"
        assert "STRICT_ALL_TABLES" in options["init_command"]

    @pytest.mark.parametrize("url", ["sqlite:///a.sqlite3", "mysql://h/d", "postgres://h/d"])
    def test_keeps_connections_and_opens_no_transaction_by_itself(self, url, tmp_path, every_driver):
        read = read_database(url, base=tmp_path)
        assert (read["CONN_MAX_AGE"], read["CONN_HEALTH_CHECKS"], read["ATOMIC_REQUESTS"]) == (None, True, False)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "shop",
            "/var/shop.sqlite3",
            "oracle://u:secret@h/d",
            "mssql://h/d",
            "mysql:",
            "mysql://u:secret@h/",
            "mysql://u:secret@h:port/d",
            "postgres://u:secret@[::1/d",
            "sqlite://",
            "sqlite:///",
            "sqlite://:memory:",
        ],
    )
    def test_says_what_a_url_looks_like_and_never_the_url(self, url, tmp_path, every_driver):
        with pytest.raises(ImproperlyConfigured, match="must look like sqlite:///") as refused:
            read_database(url, base=tmp_path)
        assert "secret" not in str(refused.value)

    @pytest.mark.parametrize(
        ("url", "package", "file"),
        [
            ("mysql://u:secret@h/d", "MySQLdb", "requirements/mysql.txt"),
            ("postgres://u:secret@h/d", "psycopg", "requirements/production.txt"),
        ],
    )
    def test_names_a_missing_driver(self, url, package, file, tmp_path, monkeypatch):
        monkeypatch.setattr(database, "find_spec", lambda name: None)
        with pytest.raises(ImproperlyConfigured, match=f"{package}.*pip install -r {file}"):
            read_database(url, base=tmp_path)


@pytest.fixture
def every_driver(monkeypatch):
    """As if all were installed: on a user's machine they are not."""
    monkeypatch.setattr(database, "find_spec", lambda name: name)
