"""A client of the Container Runtime Interface: the few messages that the checks need, on a socket.

Field names and numbers are those of Kubernetes' runtime/v1 api.proto; a message is a dict."""

import grpc

# One message a line: name=number, then :int, :bool, :bytes or :Message where it is no string,
# [] where it repeats, {} where it is a map of strings.
SCHEMA = """
VersionResponse runtime_name=2 runtime_version=3
StatusResponse runtime_handlers=3:RuntimeHandler[]
RuntimeHandler name=1 features=2:RuntimeHandlerFeatures
RuntimeHandlerFeatures recursive_read_only_mounts=1:bool user_namespaces=2:bool
RunPodSandboxRequest config=1:PodSandboxConfig runtime_handler=2
PodSandboxConfig metadata=1:PodSandboxMetadata hostname=2 log_directory=3 linux=8:LinuxPodSandboxConfig
PodSandboxMetadata name=1 uid=2 namespace=3 attempt=4:int
LinuxPodSandboxConfig cgroup_parent=1 security_context=2:SecurityContext sysctls=3{}
SecurityContext namespace_options=1:NamespaceOption privileged=6:bool
NamespaceOption network=1:int pid=2:int ipc=3:int target_id=4 userns_options=5:UserNamespace
UserNamespace mode=1:int uids=2:IDMapping[] gids=3:IDMapping[]
IDMapping host_id=1:int container_id=2:int length=3:int
RunPodSandboxResponse pod_sandbox_id=1
StopPodSandboxRequest pod_sandbox_id=1
RemovePodSandboxRequest pod_sandbox_id=1
PodSandboxStatusRequest pod_sandbox_id=1
PodSandboxStatusResponse status=1:PodSandboxStatus
PodSandboxStatus id=1 state=3:int network=5:PodSandboxNetworkStatus runtime_handler=9
PodSandboxNetworkStatus ip=1
CreateContainerRequest pod_sandbox_id=1 config=2:ContainerConfig sandbox_config=3:PodSandboxConfig
ContainerConfig metadata=1:ContainerMetadata image=2:ImageSpec command=3[] args=4[] working_dir=5 \
envs=6:KeyValue[] mounts=7:Mount[] log_path=11 linux=15:LinuxContainerConfig
ContainerMetadata name=1 attempt=2:int
ImageSpec image=1
KeyValue key=1 value=2
Mount container_path=1 host_path=2 readonly=3:bool propagation=5:int uidMappings=6:IDMapping[] \
gidMappings=7:IDMapping[] recursive_read_only=8:bool
LinuxContainerConfig resources=1:LinuxContainerResources security_context=2:LinuxContainerSecurityContext
LinuxContainerResources cpu_period=1:int cpu_quota=2:int cpu_shares=3:int memory_limit_in_bytes=4:int \
oom_score_adj=5:int unified=9{}
LinuxContainerSecurityContext capabilities=1:Capability privileged=2:bool namespace_options=3:NamespaceOption \
run_as_user=5:Int64Value readonly_rootfs=7:bool no_new_privs=11:bool seccomp=15:SecurityProfile
Capability add_capabilities=1[] drop_capabilities=2[]
Int64Value value=1:int
SecurityProfile profile_type=1:int localhost_ref=2
CreateContainerResponse container_id=1
StartContainerRequest container_id=1
StopContainerRequest container_id=1 timeout=2:int
RemoveContainerRequest container_id=1
ContainerStatusRequest container_id=1
ContainerStatusResponse status=1:ContainerStatus
ContainerStatus id=1 state=3:int exit_code=7:int reason=10 message=11
ExecSyncRequest container_id=1 cmd=2[] timeout=3:int
ExecSyncResponse stdout=1:bytes stderr=2:bytes exit_code=3:int
ContainerStatsRequest container_id=1
ContainerStatsResponse stats=1:ContainerStats
ContainerStats cpu=2:CpuUsage memory=3:MemoryUsage
CpuUsage usage_core_nano_seconds=2:Int64Value
MemoryUsage working_set_bytes=2:Int64Value
UpdateContainerResourcesRequest container_id=1 linux=2:LinuxContainerResources
Empty
"""


def read_schema(text):
    """Per message: name -> (number, type, shape) where shape is '', '[]' or '{}'."""
    messages = {}
    for line in text.replace("\\\n", "").split("\n"):
        words = line.split()
        if not words:
            continue
        fields = messages[words[0]] = {}
        for word in words[1:]:
            shape = next((s for s in ("[]", "{}") if word.endswith(s)), "")
            name, _, rest = word.removesuffix(shape).partition("=")
            number, _, kind = rest.partition(":")
            fields[name] = (int(number), kind or "str", shape)
    return messages


MESSAGES = read_schema(SCHEMA)


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode_one(number, kind, value):
    if kind in ("int", "bool"):
        return varint(number << 3) + varint(int(value))
    if kind in MESSAGES:
        value = encode(kind, value)
    elif isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def encode(message, values):
    out = b""
    for name, value in values.items():
        number, kind, shape = MESSAGES[message][name]
        if shape == "{}":
            for key, item in value.items():
                out += encode_one(number, "str", encode_one(1, "str", key) + encode_one(2, "str", item))
        else:
            for item in value if shape else [value]:
                out += encode_one(number, kind, item)
    return out


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number - (1 << 64) if number >> 63 else number, at


def decode(message, data):
    by_number = {number: (name, kind, shape) for name, (number, kind, shape) in MESSAGES[message].items()}
    values = {name: [] if shape else None for name, (_, _, shape) in MESSAGES[message].items()}
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            value, at = read_varint(data, at)
        else:
            # Only lengths and varints occur in these messages, and fixed numbers of 8 or 4 bytes.
            length, at = read_varint(data, at) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], at)
            value, at = data[at : at + length], at + length
        name, kind, shape = by_number.get(tag >> 3, (None, None, None))
        if name is None:
            continue
        if kind in MESSAGES:
            value = decode(kind, value)
        elif kind == "str":
            value = value.decode()
        if shape:
            values[name].append(value)
        else:
            values[name] = value
    return values


class Client:
    """`client.RunPodSandbox(config=..., runtime_handler="etui")` -> the answer as a dict."""

    def __init__(self, socket):
        self.channel = grpc.insecure_channel(f"unix://{socket}")

    def __getattr__(self, method):
        def call(**values):
            request = method + "Request" if method + "Request" in MESSAGES else "Empty"
            answer = method + "Response" if method + "Response" in MESSAGES else "Empty"
            return self.channel.unary_unary(
                f"/runtime.v1.RuntimeService/{method}",
                request_serializer=lambda values: encode(request, values),
                response_deserializer=lambda data: decode(answer, data),
            )(values, timeout=60)

        return call
