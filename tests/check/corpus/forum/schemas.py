from pydantic import BaseModel, ConfigDict


class ORM(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class MemberBrief(ORM):
    id: int
    name: str


class BadgeOut(ORM):
    label: str


class MemberWithBadges(MemberBrief):
    badges: list[BadgeOut]


class ProfileOut(ORM):
    bio: str


class MemberFull(MemberWithBadges):
    profile: ProfileOut | None = None


class PostOut(ORM):
    id: int
    body: str


class PostWithAuthor(PostOut):
    author: MemberBrief


class TagOut(ORM):
    name: str


class ThreadOut(ORM):
    id: int
    title: str
    tags: list[TagOut] = []


class ThreadWithPosts(ThreadOut):
    posts: list[PostOut]


class ThreadPage(BaseModel):
    items: list[ThreadWithPosts]
    total: int


class ThreadIn(BaseModel):
    title: str


class PostIn(BaseModel):
    body: str
