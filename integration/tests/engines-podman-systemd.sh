# Podman 5 and Buildah on etui where systemd is process 1: root's and the user's own systemd make the cgroups.
# lab: systemd
# seconds: 400

export ONLY=${ONLY:-'^(run, |exec|pause|limits|a scope|pods|build|bud|from|nothing)'}
. /job/engines/podman_root.sh
