"""Cursor pages: stable while rows are added, and as quick on the last page as on the first."""

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """50 rows a page, newest first; `?page_size=` up to 500."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
