# Podman 5 and Buildah on etui, as root and as a normal user with subordinate ids.
# lab: plain
# seconds: 500

. /job/engines/podman_root.sh
