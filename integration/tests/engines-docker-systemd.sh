# Docker 28 on etui where systemd is process 1: there Docker has systemd make the cgroups, by itself.
# lab: systemd
# seconds: 400

ONLY='^(run|exit codes|exec|stop|start|kill|pause|stats|top|update|OOM|--memory|--cpu|--pids|--device|--privileged|--cgroup|--user$|--init|restart|live|health|docker build|the default|eight|nothing)'
export ONLY
. /job/engines/docker_checks.sh
