"""Django's async views and async ORM, with psycopg's pool."""

from __future__ import annotations

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from sqlawait.bench.data import UserCreate, UserRead, UserWithPosts
from sqlawait.bench.target import Target
from sqlawait.bench.workloads import PAGE

target = Target.from_environment()
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="bench",
    USE_TZ=False,
    TIME_ZONE="UTC",
    INSTALLED_APPS=[],
    MIDDLEWARE=[],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": target.url.host,
            "PORT": target.url.port,
            "USER": target.url.username,
            "PASSWORD": target.url.password,
            "NAME": target.url.database,
            "OPTIONS": {
                "options": f"-c search_path={target.schema}",
                "pool": {"min_size": 4, "max_size": target.connections},
            },
        }
    },
)
django.setup()

from django.db import models  # noqa: E402 - Django has to be set up first


class User(models.Model):
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=200, unique=True)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bench"
        db_table = "users"


class Post(models.Model):
    author = models.ForeignKey(User, models.CASCADE, related_name="posts")
    title = models.CharField(max_length=200)
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bench"
        db_table = "posts"
        ordering = ("id",)


def answer(content: str, status: int = 200) -> HttpResponse:
    return HttpResponse(content, content_type="application/json", status=status)


async def read_user(_: HttpRequest, user_id: int) -> HttpResponse:
    user = await User.objects.filter(id=user_id).afirst()
    if user is None:
        return HttpResponse(status=404)
    return answer(UserRead.model_validate(user).model_dump_json())


async def read_user_with_posts(_: HttpRequest, user_id: int) -> HttpResponse:
    user = await User.objects.prefetch_related("posts").filter(id=user_id).afirst()
    if user is None:
        return HttpResponse(status=404)
    fields = UserRead.model_validate(user).model_dump()
    posts = [
        {"id": one.id, "title": one.title, "body": one.body, "created_at": one.created_at}
        for one in user.posts.all()
    ]
    return answer(UserWithPosts(**fields, posts=posts).model_dump_json())


async def users(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        body = UserCreate.model_validate_json(request.body)
        user = await User.objects.acreate(**body.model_dump())
        return answer(UserRead.model_validate(user).model_dump_json(), 201)
    after = int(request.GET.get("after", 0))
    found = [
        UserRead.model_validate(user) async for user in User.objects.filter(id__gt=after).order_by("id")[:PAGE]
    ]
    return answer("[" + ",".join(user.model_dump_json() for user in found) + "]")


urlpatterns = [
    path("users/<int:user_id>", read_user),
    path("users/<int:user_id>/posts", read_user_with_posts),
    path("users", users),
]
app = get_asgi_application()
