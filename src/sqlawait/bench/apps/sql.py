"""The SQL of the apps that are written by hand, for asyncpg."""

from __future__ import annotations

from sqlawait.bench.target import Target
from sqlawait.bench.workloads import PAGE

target = Target.from_environment()
_users = f"{target.schema}.users"
_posts = f"{target.schema}.posts"
_columns = "id, name, email, active, created_at"
_json = "'id', u.id, 'name', u.name, 'email', u.email, 'active', u.active, 'created_at', u.created_at"

USER = f"SELECT {_columns} FROM {_users} WHERE id = $1"
POSTS = f"SELECT id, title, body, created_at FROM {_posts} WHERE author_id = $1 ORDER BY id"
LIST = f"SELECT {_columns} FROM {_users} WHERE id > $1 ORDER BY id LIMIT {PAGE}"
INSERT = f"INSERT INTO {_users} (name, email, active) VALUES ($1, $2, true) RETURNING {_columns}"
UPDATE = f"UPDATE {_users} SET name = $2 WHERE id = $1 RETURNING {_columns}"

USER_JSON = f"SELECT json_build_object({_json})::text FROM {_users} u WHERE u.id = $1"
NESTED_JSON = f"""
SELECT json_build_object({_json}, 'posts', (
    SELECT coalesce(json_agg(json_build_object(
        'id', p.id, 'title', p.title, 'body', p.body, 'created_at', p.created_at) ORDER BY p.id), '[]'::json)
    FROM {_posts} p WHERE p.author_id = u.id
))::text FROM {_users} u WHERE u.id = $1
"""
LIST_JSON = f"""
SELECT coalesce(json_agg(json_build_object({_json}) ORDER BY u.id), '[]'::json)::text
FROM (SELECT * FROM {_users} WHERE id > $1 ORDER BY id LIMIT {PAGE}) u
"""
INSERT_JSON = f"""
INSERT INTO {_users} AS u (name, email, active) VALUES ($1, $2, true) RETURNING json_build_object({_json})::text
"""
UPDATE_JSON = f"UPDATE {_users} AS u SET name = $2 WHERE u.id = $1 RETURNING json_build_object({_json})::text"
