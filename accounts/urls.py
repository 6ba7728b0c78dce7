from django.urls import path

from accounts import api

api_urls = [
    path("me/", api.Me.as_view()),
    path("reauthentications/", api.Reauthentications.as_view()),
    path("tokens/", api.Tokens.as_view()),
    path("tokens/<uuid:token_id>/revoke/", api.TokenRevocation.as_view()),
    path("users/", api.Users.as_view()),
    path("users/<str:username>/roles/", api.UserRoles.as_view()),
    path("users/<str:username>/deactivate/", api.UserDeactivation.as_view()),
    path("users/<str:username>/password/", api.UserPassword.as_view()),
    path("users/<str:username>/erase/", api.UserErasure.as_view()),
]
