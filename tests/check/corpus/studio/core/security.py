import hashlib
import hmac

import argon2
import bcrypt
from argon2 import PasswordHasher

hasher = PasswordHasher()


def hash_bcrypt(password: str) -> bytes:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt())


def check_bcrypt(password: str, hashed: bytes) -> bool:
    return bcrypt.checkpw(password.encode(), hashed)


def check_argon(password: str, hashed: str) -> bool:
    try:
        return hasher.verify(hashed, password)
    except argon2.exceptions.VerifyMismatchError:
        return False


def derive(password: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 600_000)


def same(left: bytes, right: bytes) -> bool:
    return hmac.compare_digest(left, right)


class Authenticator:
    def authenticate(self, password: str, hashed: bytes) -> bool:
        return self._check(password, hashed)

    def _check(self, password: str, hashed: bytes) -> bool:
        return check_bcrypt(password, hashed)
