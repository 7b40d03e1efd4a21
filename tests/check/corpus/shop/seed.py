"""Run by hand: python -m shop.seed"""

from .database import Base, SessionLocal, engine
from .models import Product


def main() -> None:
    Base.metadata.create_all(engine)  # ok: SAW101, SAW206
    db = SessionLocal()  # ok: SAW403
    try:
        for n in range(100):
            if db.query(Product).filter_by(sku=f"SKU-{n}").first() is None:  # also: SAW305
                db.add(Product(sku=f"SKU-{n}", title=f"Product {n}", price=n))
        db.commit()
    finally:
        db.close()


if __name__ == "__main__":
    main()
