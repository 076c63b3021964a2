# The two services of examples/microservices, through docker compose, with etui as Docker's only runtime:
# it runs each RUN of their Dockerfiles, their containers, their health checks.
# lab: plain
# seconds: 420
# before: engines/wheels

. /job/engines/checks.sh
. /job/engines/docker.sh
CHECK_SECONDS=180

# Docker's python:3 has pip install from the network; this one has it look beside requirements.txt.
python_image() {
    python3 /job/engines/python_image.py python3 python3-pip dash coreutils grep sed libc-bin base-files >/tmp/files
    mkdir -p /tmp/extra/usr/local/bin
    ln -sf /usr/bin/python3 /tmp/extra/usr/local/bin/python
    tar -C / --no-recursion --ignore-failed-read -cf /tmp/python.tar -T /tmp/files
    tar -C /tmp/extra -rf /tmp/python.tar usr/local/bin/python
    docker import \
        --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PIP_NO_INDEX=1 PIP_FIND_LINKS=wheels PIP_ROOT_USER_ACTION=ignore' \
        --change 'CMD ["python3"]' /tmp/python.tar python:3
    rm /tmp/python.tar
    docker run --rm python:3 python -c 'import ssl, sys; print(sys.version)'
}
compose() { docker compose --project-directory /tmp/microservices "$@"; }
answer() { curl -sf "http://127.0.0.1:$1$2"; }
service_of() { answer "$1" / | jq -r .service; }

builds() {
    hide_others
    compose --progress plain build
    show_others
}
comes_up() {
    compose up -d
    expect "2" sh -c "docker ps -q | wc -l"
    expect etui sh -c "docker ps -q | xargs docker inspect -f '{{.HostConfig.Runtime}}' | sort -u"
}
flask_answers() {
    eventually 60 answer 5000 /health
    expect web service_of 5000
}
django_answers() {
    eventually 60 answer 5001 /
    expect api service_of 5001
    curl -sf -d '{"name": "first"}' http://127.0.0.1:5001/items
    expect first sh -c "curl -sf http://127.0.0.1:5001/items | jq -r '.items[0].name'"
}
is_healthy() { eventually 90 sh -c "docker inspect -f '{{.State.Health.Status}}' microservices-web-1 | grep -x healthy"; }
is_limited() {
    expect "268435456 64" docker exec microservices-api-1 sh -c 'cd /sys/fs/cgroup && echo $(cat memory.max pids.max)'
    expect "CapBnd: 0000000000000000 NoNewPrivs: 1" docker exec microservices-api-1 sh -c "echo \$(grep -E 'CapBnd|NoNewPrivs' /proc/self/status)"
}
keeps_logs() {
    compose logs web | grep 'GET /health'
    compose logs api | grep 'GET / HTTP'
}
runs_commands() { expect "web" compose exec -T web python -c "import app; print(app.app.test_client().get('/').json['service'])"; }
scales() {
    compose up -d --no-recreate --scale api=3
    for port in 5001 5002 5003; do eventually 60 answer $port /; done
    expect 3 sh -c 'for port in 5001 5002 5003; do curl -sf http://127.0.0.1:$port/ | jq -r .host; done | sort -u | wc -l'
    compose up -d --no-recreate --scale api=1
    expect 2 sh -c "docker ps -q | wc -l"
}
restarts() {
    started=$(inspect '{{.State.StartedAt}}' microservices-web-1)
    compose restart web
    [ "$(inspect '{{.State.StartedAt}}' microservices-web-1)" != "$started" ]
    eventually 60 answer 5000 /health
}
goes_down() {
    compose down
    expect "" docker ps -aq
    expect "" docker network ls -q --filter name=microservices
    expect "" find /sys/fs/cgroup/docker -mindepth 1 -maxdepth 1 -type d ! -name buildkit
    expect_status 7 curl -s http://127.0.0.1:5000/
}

start_docker
default_runtime etui
cp -r /job/examples/microservices /tmp/
engine "Docker Compose $(docker compose version --short)"
check "a base image python:3" python_image || exit
check "build: pip install in both images" builds || exit
check "up -d" comes_up || exit
check "the Flask service answers on its published port" flask_answers
check "the Django service answers on its published port" django_answers
check "the health check" is_healthy
check "limits and capabilities of the file" is_limited
check "logs" keeps_logs
check "exec" runs_commands
check "scale to 3, each answers" scales
check "restart" restarts
check "down leaves nothing" goes_down
