"""One libtorrent client of a bench of crowds, told on standard input and telling on standard output.

    libtorrent-peer.py TORRENT FOLDER ADDRESS PORT [OTHER ...]

Connects to the others, says `ready` and holds still; reads `go` and begins; says `complete` when it has everything, and
goes on sending. To `redundant` it answers with the bytes that it had already when they came. The settings are those that
were fastest on links as these.
"""

import sys
import threading

import libtorrent as lt

torrent, folder, address, port, *others = sys.argv[1:]

settings = lt.high_performance_seed()
settings.update(
    {
        "listen_interfaces": f"{address}:{port}",
        "outgoing_interfaces": "",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        # TCP alone: uTP gives way to other traffic, of which there is none.
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "in_enc_policy": 2,
        "out_enc_policy": 2,
        # Everybody may be sent to at once, from the first moment.
        "unchoke_slots_limit": -1,
        "choking_algorithm": 0,
        "num_optimistic_unchoke_slots": 0,
        "allow_multiple_connections_per_ip": True,
        "connection_speed": 500,
        "torrent_connect_boost": 255,
        "min_reconnect_time": 1,
        "peer_connect_timeout": 3,
        "close_redundant_connections": False,
        # Choose late: what was asked long ago may have come to another in the meantime.
        "request_queue_time": 1,
        "max_out_request_queue": 64,
        "send_buffer_watermark": 256 * 1024,
        "send_buffer_watermark_factor": 50,
        "send_buffer_low_watermark": 64 * 1024,
        "suggest_mode": 0,
        "piece_extent_affinity": False,
        "initial_picker_threshold": 4,
        "whole_pieces_threshold": 1,
        "prioritize_partial_pieces": False,
        "strict_end_game_mode": True,
        "predictive_piece_announce": 0,
        "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification,
    }
)
session = lt.session(settings)
said = threading.Lock()


def say(line):
    with said:
        print(line, flush=True)


params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = folder
# It connects and sends, but asks for nothing yet.
params.flags = lt.torrent_flags.upload_mode
params.storage_mode = lt.storage_mode_t.storage_mode_sparse
handle = session.add_torrent(params)


def watch():
    while True:
        if session.wait_for_alert(1000) is None:
            continue
        for alert in session.pop_alerts():
            if isinstance(alert, lt.torrent_finished_alert):
                say("complete")
            elif isinstance(alert, (lt.torrent_error_alert, lt.listen_failed_alert)):
                print(alert.message(), file=sys.stderr, flush=True)


threading.Thread(target=watch, daemon=True).start()
for other in others:
    handle.connect_peer((other, int(port)))
say("ready")
for line in sys.stdin:
    if line.strip() == "go":
        handle.unset_flags(lt.torrent_flags.upload_mode)
    elif line.strip() == "redundant":
        say(f"redundant {handle.status().total_redundant_bytes}")
