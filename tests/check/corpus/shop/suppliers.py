import time
from decimal import Decimal

import requests


class SupplierClient:
    def __init__(self, base_url: str):
        self.base_url = base_url
        self.session = requests.Session()

    def lookup(self, sku: str) -> dict:
        return self._get(f"/products/{sku}")

    def _get(self, path: str) -> dict:
        for attempt in range(3):
            response = self.session.get(self.base_url + path, timeout=10)
            if response.status_code != 503:
                return response.json()
            time.sleep(2**attempt)
        raise RuntimeError("the supplier is down")


def refresh_price(sku: str) -> Decimal:
    return _parse(SupplierClient("https://supplier.example").lookup(sku))


def _parse(payload: dict) -> Decimal:
    return Decimal(payload["price"])
