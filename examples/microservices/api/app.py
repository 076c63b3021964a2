"""The Django service, in one file: what it is, and a list of things it keeps in memory."""

import json
import socket

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.management.utils import get_random_secret_key
from django.http import JsonResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY=get_random_secret_key())
things = []


def index(request):
    return JsonResponse({"service": "api", "host": socket.gethostname()})


def items(request):
    if request.method == "POST":
        things.append(json.loads(request.body))
    return JsonResponse({"items": things})


urlpatterns = [path("", index), path("items", items)]

if __name__ == "__main__":
    execute_from_command_line(["app.py", "runserver", "--noreload", "0.0.0.0:5001"])
