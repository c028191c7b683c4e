"""A source opens nothing but itself: lists of other files are read only where the user gave their address."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from media_fixtures import Trickle, noise, wav, write_media
from video_fixtures import write_video
from web_server import WebServer

from transducer.errors import MediaError, TransducerError, UsageError
from transducer.media import open_audio, open_video, read_audio

RATE = 16000


@pytest.fixture
def secret(tmp_path):
    write_video(tmp_path / "secret.ts", sound=noise(0.5, 48000))
    return write_media(tmp_path / "secret.wav", "pcm_s16le", noise(0.5, RATE), rate=RATE).parent


def lists(target: str, kind: str) -> bytes:
    """Files of every kind that refers to others, naming `target`."""
    m3u8 = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.5,\n{target}.ts\n#EXT-X-ENDLIST\n"
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet '
        'contentType="audio"><Representation id="1" mimeType="audio/mp4" bandwidth="1">'
        f"<BaseURL>{target}.wav</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    return {
        "m3u8": m3u8.encode(),
        "m3u8 with a mark": b"\xef\xbb\xbf" + m3u8.encode(),
        "ffconcat": f"ffconcat version 1.0\nfile '{target}.wav'\n".encode(),
        "mpd": mpd.encode(),
        "sdp": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n",
    }[kind]


KINDS = ["m3u8", "m3u8 with a mark", "ffconcat", "mpd", "sdp"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["secret", "{folder}/secret", "file:{folder}/secret"])
def test_a_local_list_opens_no_other_file(secret, kind, target):
    path = secret / f"list.{kind.split()[0]}"
    data = lists(target.format(folder=secret), kind)
    path.write_bytes(data)
    for read in (open_audio, open_video):
        for source in (path, io.BytesIO(data), Trickle(data, [100]), Trickle(data, [100], seekable=True)):
            with pytest.raises(MediaError, match="a list of other files") as error:
                read(source)
            assert "\n" not in str(error.value)


def test_a_wolf_in_a_media_file_s_name_opens_no_other_file(secret):
    path = secret / "song.mp3"
    path.write_bytes(lists(f"file:{secret}/secret", "m3u8"))
    with pytest.raises(MediaError):
        open_audio(path)


@pytest.mark.parametrize("how", ["length", "chunked", "close"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "target", ["{folder}/secret", "file:{folder}/secret", "subfile,,start,0,end,0,,:{folder}/secret"]
)
def test_a_list_from_an_address_opens_no_local_file(secret, how, kind, target):
    name = f"list.{kind.split()[0]}"
    with WebServer({name: lists(target.format(folder=secret), kind)}) as web:
        for read in (open_audio, open_video):
            with pytest.raises(MediaError) as error:
                read(f"{web.address}/{how}/{name}")
            assert "\n" not in str(error.value)


def test_a_redirection_leads_to_no_local_file(secret):
    with WebServer() as web, pytest.raises(TransducerError):
        open_audio(f"{web.address}/to/file://{secret}/secret.wav")


@pytest.mark.parametrize(
    ("how", "kind"),
    # FFmpeg takes a reply that ends by closing for a broken one, and reads no ffconcat from it.
    [("length", "m3u8"), ("chunked", "m3u8"), ("close", "m3u8"), ("length", "ffconcat"), ("chunked", "ffconcat")],
)
def test_a_list_from_an_address_opens_what_lies_beside_it(secret, how, kind):
    with WebServer({"list.m3u8": lists("secret", kind)}, folder=secret) as web:
        sound = read_audio(f"{web.address}/{how}/list.m3u8")
    assert len(sound) / RATE == pytest.approx(0.5, abs=0.1) and np.abs(sound).max() > 0.1


def test_a_redirection_is_followed(secret):
    with WebServer(folder=secret) as web:
        sound = read_audio(f"{web.address}/to//length/secret.wav")
    np.testing.assert_array_equal(sound, read_audio(secret / "secret.wav"))


@pytest.mark.parametrize("how", ["length", "chunked", "close"])
def test_a_scheme_in_capitals(secret, how):
    with WebServer(folder=secret) as web:
        address = web.address.replace("http", "HTTP")
        np.testing.assert_array_equal(read_audio(f"{address}/{how}/secret.wav"), read_audio(secret / "secret.wav"))


@pytest.mark.parametrize(
    "address",
    [
        "http://[",
        "rtsp://[::1",
        "http://127.0.0.1:port/a.wav",
        "http://127.0.0.1:99999999/a.wav",
        "http://127.0.0.1/\0a.wav",
        "http://\udcff/a.wav",
        "http://127.0.0.1/" + 5000 * "a",
        "http://" + 5000 * "a",
        "rtsp://" + 5000 * "a",
        "concat://a.wav|b.wav",
        "data://text",
        "subfile://a.wav",
        "crypto://a.wav",
        "async://a.wav",
        "pipe://0",
        "://",
        "file://",
        "a\0b",
        5000 * "a",
        "/" + 5000 * "a/",
    ],
)
def test_what_is_no_address_is_told_in_one_line(address, capfd):
    for read in (open_audio, open_video):
        with pytest.raises(TransducerError) as error:
            read(address)
        assert "\n" not in str(error.value) and str(error.value).isprintable()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "address", ["concat:{wav}|{wav}", "subfile,,start,0,end,0,,:{wav}", "data:audio/wav;base64,AA", "crypto:{wav}"]
)
def test_ffmpeg_s_own_protocols_are_names_of_files_only(secret, address):
    with pytest.raises(MediaError, match=r"no such file|can't be opened"):
        open_audio(address.format(wav=secret / "secret.wav"))


def test_single_pictures_are_read_as_before(tmp_path):
    for end in ("png", "jpg", "bmp"):
        path = write_video(
            tmp_path / f"one.{end}", {"png": "png", "jpg": "mjpeg", "bmp": "bmp"}[end], 1, file_format="image2"
        )
        with open_video(path) as reader:
            assert len(list(reader)) == 1
    os.rename(tmp_path / "one.png", tmp_path / "two%03d.png")
    with open_video(tmp_path / "two%03d.png") as reader:
        assert len(list(reader)) == 1


def test_unknown_kinds_of_addresses_are_usage_errors():
    with pytest.raises(UsageError, match="http, https or rtsp"):
        open_audio("concat://x")


def test_long_names_of_addresses_are_shown_short():
    with pytest.raises(UsageError) as error:
        open_audio("http://" + 5000 * "a")
    assert len(str(error.value)) < 200


def test_wav_still_opens():
    assert len(read_audio(io.BytesIO(wav(noise(0.1, RATE), RATE)))) == 1600
