from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError
from django.db import connection, models
from django.test.utils import isolate_apps

from core.encryption import DecryptionError, EncryptedTextField

OLD, NEW, FOREIGN = (Fernet.generate_key().decode() for _n in range(3))
SECRET = "sk_live_s3cr3t \U0001f511 é"


@pytest.fixture
def vault(db) -> Iterator[type[models.Model]]:
    """A table of two secrets."""
    with isolate_apps("core"):

        class Vault(models.Model):  # noqa: DJ008
            id = models.CharField(max_length=8, primary_key=True)
            secret = EncryptedTextField(null=True)
            other = EncryptedTextField(null=True)

            class Meta:
                app_label = "core"
                db_table = "vault"

        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE vault (id varchar(8) PRIMARY KEY, secret text, other text)")
        yield Vault
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE vault")


def stored(column: str = "secret") -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM vault")  # noqa: S608
        return cursor.fetchone()[0]


def store(text: str, column: str = "secret") -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE vault SET {column} = %s", [text])  # noqa: S608


class TestRoundTrip:
    @pytest.mark.parametrize("plain", [SECRET, "", "x" * 10_000, "null", '["a"]', "\u202e\u0000".strip("\0")])
    def test_gives_back_what_was_saved(self, vault, plain):
        vault.objects.create(pk="1", secret=plain)
        assert vault.objects.get().secret == plain
        assert vault.objects.values_list("secret", flat=True).get() == plain

    def test_keeps_null(self, vault):
        vault.objects.create(pk="1", secret=None)
        assert stored() is None
        assert vault.objects.get(secret__isnull=True).secret is None

    def test_through_update(self, vault):
        vault.objects.create(pk="1", secret="old")
        vault.objects.update(secret=SECRET)
        assert vault.objects.get().secret == SECRET
        assert SECRET not in stored()


class TestAtRest:
    def test_the_column_never_holds_the_plain_text(self, vault):
        vault.objects.create(pk="1", secret=SECRET)
        assert stored().startswith("gAAAA")
        assert "s3cr3t" not in stored()

    def test_equal_values_look_different(self, vault):
        vault.objects.create(pk="1", secret=SECRET, other=SECRET)
        first = stored()
        vault.objects.update(secret=SECRET)
        assert stored() not in (first, stored("other"))

    def test_there_are_no_lookups(self, vault):
        with pytest.raises(FieldError):
            vault.objects.filter(secret=SECRET).exists()
        with pytest.raises(FieldError):
            vault.objects.filter(secret__contains="s3").exists()


class TestRotation:
    def test_reads_what_the_old_key_wrote_and_writes_with_the_new_one(self, vault, settings):
        settings.ENCRYPTION_KEYS = [OLD]
        vault.objects.create(pk="1", secret=SECRET)

        settings.ENCRYPTION_KEYS = [NEW, OLD]
        row = vault.objects.get()
        assert row.secret == SECRET
        row.save()

        settings.ENCRYPTION_KEYS = [NEW]
        assert vault.objects.get().secret == SECRET

    def test_without_the_old_key_what_it_wrote_is_refused(self, vault, settings):
        settings.ENCRYPTION_KEYS = [OLD]
        vault.objects.create(pk="1", secret=SECRET)
        settings.ENCRYPTION_KEYS = [NEW]
        with pytest.raises(DecryptionError) as caught:
            vault.objects.get()
        assert str(caught.value) == "vault.secret cannot be read with ENCRYPTION_KEYS."


class TestTampering:
    def test_a_ciphertext_of_another_column_is_refused(self, vault):
        vault.objects.create(pk="1", secret=SECRET, other="harmless")
        store(stored("other"), "secret")
        with pytest.raises(DecryptionError) as caught:
            vault.objects.get()
        assert str(caught.value) == "vault.secret holds a value that was encrypted for vault.other."

    @pytest.mark.parametrize(
        "text",
        [
            "", "plain", "gAAAA", "gAAAAé", Fernet(FOREIGN).encrypt(b'["vault.secret","x"]').decode(),
        ],
    )  # fmt: skip
    def test_anything_but_our_own_ciphertext_is_refused(self, vault, text):
        vault.objects.create(pk="1", secret=SECRET)
        store(text)
        with pytest.raises(DecryptionError):
            vault.objects.get()

    def test_a_changed_ciphertext_is_refused(self, vault):
        vault.objects.create(pk="1", secret=SECRET)
        store(stored()[:-4] + "AAA=")
        with pytest.raises(DecryptionError):
            vault.objects.get()
