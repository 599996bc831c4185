"""The check of the vendor's whole order of a first configuration, made by our calls (Tap protocol notes §10.3)."""

from services.clients.tap import (
    Method,
    Path,
    Request,
    Response,
    Tap,
    Verifier,
)
from services.clients.tap.enumerations import HostProtocol, WifiMode
from services.clients.tap.layouts import SecurityOptions
from tests.unit.tap.lines import Desk, Line, Numbered
from tests.unit.tap.vectors import Vector


def check_configuration(_: str, given: Vector, wanted: Vector) -> None:
    """The vendor's whole order of a first configuration, made by our calls (notes §10.3)."""
    fixed = b"\x3f" * 16
    nonces = Numbered(ivs=[fixed], salt=fixed[:4])
    desk = Desk(nonces=Numbered())
    line = Line(desk, client_nonces=nonces, device_nonces=desk.nonces)
    requests: list[str] = []

    def record(request: Request) -> Response:
        sealed = "enc:" if line.device.form.name == "SEALED" else ""
        requests.append(sealed + (bytes([request.method]) + request.path.encode() + request.body).hex())
        if request.path == Path.parse("/1024//6") and request.method is Method.GET:
            return Response(0x45, b"\x00\x1a")
        return desk(request)

    line.desk = record
    configure(Tap(line), line, given["config"])
    session = [frame for frame in requests if frame[:14] not in {"010400ffff002f", "010400ffff002d"}]
    assert session == wanted["requestsInOrder"]
    assert [frame.hex() for frame in line.asked[:4]] == wanted["wireOpening"]
    assert not line.client.in_session
    assert not line.device.in_session


def configure(tap: Tap, line: Line, config: Vector) -> None:
    wireless, system = config["wireless"], config["tap"]
    wifi, mqtt = wireless["protocols"]["wifi"], wireless["protocols"]["mqtt"]
    tap.device.factory_reset()
    line.client.pause()
    tap.scram.initialize()
    line.exchange(line.client.refresh_request())
    line.client.resume()
    tap.interface.put_config_version("255.255.65535")
    tap.write("/1024//6", b"\x10", as_type="bytes")
    tap.interface.put_app_name(config["application"]["name"])
    tap.scram.put_hash_iteration(system["scram"]["hashIteration"])
    tap.time.put_ntp_server(system["time"]["ntpServer"])
    tap.time.put_time_zone(system["time"]["zone"])
    protocols = [HostProtocol[name] for name in wireless["options"]["authorizedProtocols"]]
    tap.interface.put_authorized_host_protocol(protocols[0] | protocols[1])
    tap.interface.put_host_inactivity_period(wireless["options"]["inactivityTimeout"])
    tap.wifi.put_mode(WifiMode[wifi["mode"]])
    tap.wifi.put_ssid(wifi["ssid"])
    tap.wifi.put_key(wifi["key"])
    tap.mqtt.put_broker_hostname(mqtt["brokerHostname"])
    tap.mqtt.put_broker_port(mqtt["brokerPort"])
    tap.mqtt.put_relay_net_key(mqtt["relayNetKey"])
    configure_users(tap, config)
    tap.interface.put_security_options(
        SecurityOptions(scram_activated=True, hash_password=True, disable_login_with_uid=True)
    )
    tap.interface.put_config_version(config["version"])
    tap.interface.get_security_options()
    tap.interface.logout()


def configure_users(tap: Tap, config: Vector) -> None:
    iterations = config["tap"]["scram"]["hashIteration"]
    profile = config["data"]["profiles"][0]
    tap.group.create(profile["id"])
    tap.group.put_name(profile["id"], profile["username"])
    users = [
        (profile["id"], profile["lifeTime"], profile["password"]),
        (65535, 30, "admin"),
        (65534, 30, "supervisor"),
    ]
    for group, lifetime, password in users:
        tap.group.put_session_lifetime(group, lifetime)
        verifier = Verifier.make(password, salt=b"????", iterations=iterations)
        tap.group.change_password_key(group, verifier.encode())
