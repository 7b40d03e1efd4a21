"""The reference service: users and posts, items and categories, accounts and transfers, documents, reports.

Read it as an example, serve it with ``sqlawait serve``, or start your own from it with ``sqlawait new NAME``.
"""
