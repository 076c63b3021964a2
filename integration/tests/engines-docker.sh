# Docker 28 on etui: every feature that its users touch, one check each.
# lab: plain
# seconds: 600

. /job/engines/docker_checks.sh
