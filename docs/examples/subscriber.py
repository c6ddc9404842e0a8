"""Print every event of the district as a CloudEvents JSON line: needs only zhian's base install, no extra.

python subscriber.py BROKER_HOST PORT [USERNAME PASSWORD_FILE]
"""

import json
import sys
from collections import deque
from pathlib import Path

import paho.mqtt.client as mqtt

from center.contract.cloudevents import to_cloudevent
from center.contract.errors import ContractError
from center.contract.frame import decode_frame
from center.contract.topics import Kind, every_gateway, parse


def show(_client, _userdata, message):
    try:
        name, _ = parse(message.topic)
        frame = decode_frame(message.payload)
    except ContractError as e:  # a stranger's bytes: say so and go on
        print(f"ignored: {e}", file=sys.stderr)
        return
    for event in frame.events:
        if (name, frame.epoch, event.seq) in seen:  # alarms come twice, so that one of them comes soon
            continue
        seen.append((name, frame.epoch, event.seq))
        line = to_cloudevent(event, name.district, name.site, name.gateway, frame.epoch, frame.simulated)
        print(json.dumps(line, ensure_ascii=False), flush=True)


seen = deque(maxlen=10_000)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
if len(sys.argv) > 3:
    client.username_pw_set(sys.argv[3], Path(sys.argv[4]).read_text(encoding="utf-8").strip())
topics = [(every_gateway(kind), 1) for kind in (Kind.EVENT, Kind.ALARM)]
client.on_connect = lambda connected, *_: connected.subscribe(topics)
client.on_message = show
client.connect(sys.argv[1], int(sys.argv[2]))
client.loop_forever()
