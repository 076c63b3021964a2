"""The Flask service: who it is, and whether it is well."""

import os
import socket

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def index():
    return jsonify(service="web", host=socket.gethostname(), pid=os.getpid())


@app.get("/health")
def health():
    return "well\n"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
