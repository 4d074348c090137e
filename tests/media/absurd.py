"""Files that no honest program writes: what a container can claim, nest or blow up. {name: bytes} each."""
import base64
import struct
import zlib

U32, U64 = 2 ** 32 - 1, 2 ** 64 - 1
NOISE = bytes(value * 37 % 251 for value in range(4000))


def blown(size, byte=b"\0", first=b""):
    """A zlib stream that unpacks to `first` and so many bytes (whole MiB) more; a thousandth of that."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(byte * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    count = -(-size >> 20)
    low, high = 1, 0
    for value, times in ((first[0] if first else 0, len(first)), (byte[0], count << 20)):  # Adler-32, `times` at once
        high = (high + times * low + value * times * (times + 1) // 2) % 65521
        low = (low + value * times) % 65521
    return b"\x78\xda" + head + block * count + b"\x03\0" + struct.pack(">I", high << 16 | low)


# ---- RIFF

def chunk(name, body=b"", length=None, order="<"):
    return name + struct.pack(order + "I", len(body) if length is None else length) + body + b"\0" * (len(body) % 2)


def fmt(kind=1, channels=2, rate=44100, block=4, bits=16):
    return struct.pack("<HHIIHH", kind, channels, rate & U32, rate * block & U32, block, bits)


def wav(*chunks, length=None):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def wavs():
    data, form = chunk(b"data", NOISE), chunk(b"fmt ", fmt())
    yield "data of 4 GiB", wav(form, chunk(b"data", NOISE, U32))
    yield "data of 1 GiB", wav(form, chunk(b"data", NOISE, 2 ** 30))
    yield "fmt of 4 GiB", wav(chunk(b"fmt ", fmt(), U32), data)
    yield "fmt of 1 byte", wav(chunk(b"fmt ", b"\1"), data)
    yield "a chunk of 4 GiB first", wav(chunk(b"JUNK", b"", U32), form, data)
    yield "a list of 2 GiB", wav(chunk(b"LIST", b"INFO" + chunk(b"INAM", b"x", 2 ** 31)), form, data)
    yield "a word of 1 GiB", wav(chunk(b"LIST", b"INFO" + chunk(b"INAM", b"x", 2 ** 30), U32 - 3), form, data)
    yield "50,000 chunks", wav(chunk(b"JUNK") * 50_000, form, data)
    yield "no form", wav(data)
    yield "form behind the data", wav(data, form)
    yield "a hundred forms", wav(form * 100, data)
    yield "nested", wav(form, chunk(b"data", wav(form, chunk(b"data", wav(form, data)))))
    yield "length 0", wav(form, data, length=0)
    for name, fields in {"0 channels": {"channels": 0}, "65,535 channels": {"channels": 65535}, "blocks of 0": {"block": 0},
                         "65,535 bits": {"bits": 65535}, "0 bits": {"bits": 0}, "4 GHz": {"rate": U32},
                         "0 Hz": {"rate": 0}, "MP3 inside": {"kind": 0x55}, "ADPCM": {"kind": 2},
                         "extensible, cut": {"kind": 0xfffe}, "ATRAC": {"kind": 0x270}}.items():
        yield name, wav(chunk(b"fmt ", fmt(**fields)), data)
    for size in (U64, 2 ** 63 - 1, 2 ** 40):
        ds64 = chunk(b"ds64", struct.pack("<QQQI", size, size, size, U32))
        yield f"RF64 of {size}", b"RF64" + struct.pack("<I", U32) + b"WAVE" + ds64 + form + chunk(b"data", NOISE, U32)
    yield "an ID3 tag of 256 MB in it", wav(form, chunk(b"id3 ", b"ID3\3\0\0\x7f\x7f\x7f\x7f"), data)


# ---- AIFF

def aiff(*chunks):
    body = b"AIFF" + b"".join(chunks)
    return b"FORM" + struct.pack(">I", len(body)) + body


def aiffs():
    rate = bytes.fromhex("400eac44000000000000")
    sound = chunk(b"SSND", bytes(8) + NOISE, order=">")

    def common(channels=2, frames=1000, bits=16, rate=rate):
        return chunk(b"COMM", struct.pack(">hIh", channels, frames, bits) + rate, order=">")

    yield "4 billion frames", aiff(common(frames=U32), sound)
    yield "sound of 4 GiB", aiff(common(), chunk(b"SSND", bytes(8) + NOISE, U32, order=">"))
    yield "offset of 4 GiB", aiff(common(), chunk(b"SSND", b"\xff" * 8 + NOISE, order=">"))
    yield "-1 channels", aiff(common(channels=-1), sound)
    yield "32,767 bits", aiff(common(bits=32767), sound)
    for name, value in {"no rate": bytes(10), "an infinite rate": b"\x7f\xff\x80" + bytes(7), "a rate of no number": b"\xff" * 10}.items():
        yield name, aiff(common(rate=value), sound)
    nested = sound
    for _ in range(2000):
        nested = chunk(b"FORM", b"AIFF" + nested, order=">")
    yield "2,000 forms deep", aiff(common(), nested)


# ---- FLAC

def streaminfo(samples=2000, rate=44100, channels=2, bits=16, smallest=4096, largest=4096):
    packed = rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | samples
    return struct.pack(">HH", smallest, largest) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)


def flac(*blocks, sound=NOISE):
    """blocks: (type, body[, claimed length])."""
    out = b"fLaC"
    for number, (kind, body, *length) in enumerate(blocks):
        last = 0x80 if number + 1 == len(blocks) else 0
        out += bytes([last | kind]) + (length[0] if length else len(body)).to_bytes(3, "big") + body
    return out + sound


def flacs(good):
    info, frames = (0, streaminfo()), good[good.rindex(b"\xff\xf8"):]

    def picture(bytes_, claimed, width=1):
        return struct.pack(">II", 3, 10) + b"image/jpeg" + struct.pack(">IIIIII", 0, width, width, 24, 0, claimed) + bytes_

    yield "2^36 samples", flac((0, streaminfo(samples=2 ** 36 - 1)))
    yield "20 s that are not there", flac((0, streaminfo(samples=882000)), sound=frames)
    yield "1 MHz", flac((0, streaminfo(rate=2 ** 20 - 1)))
    yield "32 bits", flac((0, streaminfo(bits=32)))
    yield "blocks of 0", flac((0, streaminfo(smallest=0, largest=0)))
    yield "no STREAMINFO", flac((4, b""))
    yield "a block of 16 MB", flac(info, (4, b"x", 2 ** 24 - 1))
    yield "5,000 blocks", flac(info, *[(1, bytes(8))] * 5000)
    yield "5,000 STREAMINFO", flac(*[info] * 5000)
    yield "4 billion comments", flac(info, (4, struct.pack("<II", 0, U32)))
    yield "a comment of 4 GiB", flac(info, (4, struct.pack("<III", 0, 1, U32) + b"TITLE=x"))
    yield "a vendor of 4 GiB", flac(info, (4, struct.pack("<I", U32)))
    yield "a picture of 4 GiB", flac(info, (6, picture(b"\xff\xd8\xff", U32)))
    yield "a picture of 4 billion pixels", flac(info, (6, picture(b"\xff\xd8\xff\xe0" * 9, 36, U32)))
    yield "2,000 pictures", flac(info, *[(6, picture(b"\xff\xd8\xff\xe0" * 9, 36))] * 2000)
    yield "a picture of 12 MB", flac(info, (6, picture(b"\xff\xd8\xff\xe0" * 3_000_000, 12_000_000)))
    yield "a million seek points", flac(info, *[(3, b"\xff" * 18 * 900_000)])
    yield "cue sheets", flac(info, *[(5, b"\xff" * 396 + b"\xff" * 36 * 99)] * 200)


# ---- ID3 and MP3

def syncsafe(value):
    return bytes(value >> shift & 0x7f for shift in (21, 14, 7, 0))


def id3(frames=b"", length=None, version=4, flags=0):
    return b"ID3" + bytes([version, 0, flags]) + syncsafe(len(frames) if length is None else length) + frames


def frame(name, body, length=None, flags=0):
    return name + syncsafe(len(body) if length is None else length) + struct.pack(">H", flags) + body


def squeezed(name, size):
    """A frame that unpacks to so many bytes."""
    return frame(name, syncsafe(size + 1) + blown(size, b"A", b"\3"), flags=0x0009)


def mp3s(good):
    plain = good[good.index(b"\xff\xfb"):]
    yield "a tag of 256 MB", id3(length=2 ** 28 - 1) + plain
    yield "5,000 tags", id3(frame(b"TIT2", b"\3x")) * 5000 + plain
    yield "tags in tags", id3(id3(id3(id3(frame(b"TIT2", b"\3x"))))) + plain
    yield "a frame of 256 MB", id3(frame(b"TIT2", b"\3x", 2 ** 28 - 1)) + plain
    yield "100,000 frames", id3(frame(b"TIT2", b"\3x") * 100_000) + plain
    yield "a frame of 200 MB, squeezed", id3(squeezed(b"TIT2", 200_000_000)) + plain
    yield "two frames of 100 MB, squeezed", id3(squeezed(b"TXXX", 100_000_000) * 2) + plain
    yield "a picture of 60 MB, squeezed", id3(frame(b"APIC", b"")) + id3(squeezed(b"APIC", 60_000_000)) + plain
    yield "a picture that is not there", id3(frame(b"APIC", b"\3image/jpeg\0\3\0")) + plain
    yield "a picture without an end of its name", id3(frame(b"APIC", b"\1" + b"i" * 5000)) + plain
    yield "pictures of all kinds", id3(b"".join(frame(b"APIC", b"\3image/" + kind + b"\0\3\0" + NOISE) for kind in (
        b"png", b"jpeg", b"gif", b"webp", b"bmp", b"tiff", b"svg", b"x" * 3000))) + plain
    yield "chapters in chapters", id3(frame(b"CHAP", b"a\0" + bytes(16) + frame(b"CHAP", b"b\0" + bytes(16)) * 100) * 50) + plain
    yield "an extended header of 4 GiB", id3(b"\xff\xff\xff\xff" + bytes(40), flags=0x40) + plain
    yield "GEOB and PRIV", id3(frame(b"GEOB", b"\1" + b"\xff" * 900) * 50 + frame(b"PRIV", NOISE) * 50) + plain
    yield "4 billion frames of sound", xing(plain, U32)
    yield "an APE tag of 4 GiB", plain + b"APETAGEX" + struct.pack("<IIII", 2000, U32, U32, 0) + bytes(8)
    yield "an APE tag of 4 billion items", plain + b"APETAGEX" + struct.pack("<IIII", 2000, 64, U32, 0) + bytes(8)
    yield "free format", b"\xff\xfb\x00\x00" * 3000
    yield "one frame again and again", good[good.rindex(b"\xff\xfb"):] * 20


def xing(plain, frames):
    at = plain.find(b"Info")
    return plain[:at + 8] + struct.pack(">I", frames) + plain[at + 12:] if at > 0 else plain


# ---- MP4

def box(name, body=b"", length=None):
    return struct.pack(">I", 8 + len(body) if length is None else length) + name + body


def long_box(name, body, length):
    return struct.pack(">I", 1) + name + struct.pack(">Q", length) + body


def full(name, body=b"", flags=0):
    return box(name, struct.pack(">I", flags) + body)


def mp4(*, table=b"", duration=1000, scale=44100, entry=None, more=b"", edits=b""):
    entry = entry or box(b"sowt", bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">HHII", 2, 16, 0, 44100 << 16))
    stsd = full(b"stsd", struct.pack(">I", 1) + entry)
    usual = full(b"stts", struct.pack(">III", 1, 1000, 1)) + full(b"stsc", struct.pack(">IIII", 1, 1, 1000, 1)) + \
        full(b"stsz", struct.pack(">II", 4, 1000)) + full(b"stco", struct.pack(">II", 1, 32))
    minf = box(b"minf", full(b"smhd", bytes(4)) + box(b"stbl", stsd + (table or usual)))
    mdhd = full(b"mdhd", bytes(8) + struct.pack(">IIHH", scale, duration, 0x55c4, 0))
    hdlr = full(b"hdlr", bytes(4) + b"soun" + bytes(13))
    trak = box(b"trak", full(b"tkhd", bytes(80), 3) + edits + box(b"mdia", mdhd + hdlr + minf))
    mvhd = full(b"mvhd", bytes(8) + struct.pack(">II", scale, duration) + bytes(80))
    return box(b"ftyp", b"M4A \0\0\0\0M4A ") + box(b"mdat", NOISE) + box(b"moov", mvhd + trak + more)


def deep(name, depth, inner=b""):
    for _ in range(depth):
        inner = box(name, inner)
    return inner


def mp4s():
    yield "whole", mp4()
    yield "4 billion samples", mp4(table=full(b"stsz", struct.pack(">II", 0, U32)) + full(b"stts", struct.pack(">III", 1, U32, U32)))
    yield "4 billion samples of one size", mp4(table=full(b"stts", struct.pack(">III", 1, U32, 1)) + full(
        b"stsc", struct.pack(">IIII", 1, 1, U32, 1)) + full(b"stsz", struct.pack(">II", 1, U32)) + full(
        b"stco", struct.pack(">II", 1, 32)))
    for name in (b"stts", b"stsc", b"stco", b"co64", b"ctts", b"stss", b"sbgp", b"sgpd"):
        yield f"4 billion entries in {name.decode()}", mp4(table=full(name, struct.pack(">I", U32) + NOISE))
    yield "4 billion edits", mp4(edits=box(b"edts", full(b"elst", struct.pack(">I", U32) + NOISE)))
    yield "edits that go nowhere", mp4(edits=box(b"edts", full(b"elst", struct.pack(">I", 300) + struct.pack(
        ">IiI", U32, -1, 65536) * 300)))
    yield "scale 0", mp4(scale=0)
    yield "duration of 4 billion", mp4(duration=U32, scale=1)
    for name in (b"moov", b"trak", b"udta", b"meta", b"mdia", b"stbl", b"wave", b"moof"):
        yield f"10,000 {name.decode()} deep", box(b"ftyp", b"M4A \0\0\0\0") + deep(name, 10_000) + mp4()
        yield f"500 {name.decode()} deep, inside", mp4(more=deep(name, 500))
    yield "1,000 tracks", box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", mp4()[mp4().index(b"trak") - 4:] * 1000)
    yield "a box of 2^63", box(b"ftyp", b"M4A \0\0\0\0") + long_box(b"mdat", NOISE, 2 ** 63 - 1) + mp4()
    yield "a box of 2^64", box(b"ftyp", b"M4A \0\0\0\0") + long_box(b"free", NOISE, U64) + mp4()
    yield "moov to the end", box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", mp4()[40:], 0)
    yield "boxes of 0 bytes", box(b"ftyp", b"M4A \0\0\0\0") + box(b"free", b"", 1) * 1000 + mp4()
    for size in (1_000, 200_000_000, 2_000_000_000):
        packed = zlib.compress(deep(b"moov", 10) + bytes(size // 1000), 9)
        yield f"a squeezed head of {size}", box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", box(b"cmov", box(
            b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", size) + packed)))
    covr = box(b"covr", box(b"data", struct.pack(">II", 13, 0) + b"\xff\xd8\xff", 2 ** 31 - 1))
    tags = box(b"udta", full(b"meta", box(b"ilst", covr * 3)))
    yield "a cover of 2 GiB", mp4(more=tags)
    smpb = b"----", full(b"mean", b"com.apple.iTunes") + full(b"name", b"iTunSMPB")
    text = b" 00000000 FFFFFFFF FFFFFFFF FFFFFFFFFFFFFFFF"
    yield "an endless iTunSMPB", mp4(more=box(b"udta", full(b"meta", box(b"ilst", box(smpb[0], smpb[1] + full(
        b"data", bytes(4) + text, 1))))))
    esds = b"\3\x80\x80\x80\x7f" * 2000
    entry = box(b"mp4a", bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">HHII", 2, 16, 0, 44100 << 16) + full(b"esds", esds))
    yield "descriptors in descriptors", mp4(entry=entry)
    for name in (b"alac", b"fLaC", b"Opus", b"mp4a", b"ac-3", b"lpcm", b"enca", b"drms", b"raw ", b"\0\0\0\0"):
        yield f"an entry {name.decode()!r} of nothing", mp4(entry=box(name, bytes(28)))
    elsewhere = full(b"dref", struct.pack(">I", 1) + full(b"url ", b"file:///etc/passwd\0"))
    yield "sound in another file", mp4(more=box(b"dinf", elsewhere))
    runs = full(b"trun", struct.pack(">I", U32), 0xf01)
    yield "4 billion samples in a run", mp4() + box(b"moof", full(b"mfhd", b"\0\0\0\1") + box(b"traf", full(
        b"tfhd", b"\0\0\0\1") + runs))
    yield "an index of 65,535 segments", mp4() + full(b"sidx", struct.pack(">IIIIHH", 1, 44100, 0, 0, 0, 65535) + NOISE)


# ---- Ogg, WavPack, AAC

def ogg_crc(data):
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04c11db7 if crc & 0x80000000 else 0)
    return crc & U32


def page(packet=b"", flags=0, granule=0, serial=1, number=0, lacing=None):
    lacing = lacing if lacing is not None else bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = b"OggS\0" + struct.pack("<BqIIIB", flags, granule, serial, number, 0, len(lacing)) + lacing + packet
    return head[:22] + struct.pack("<I", ogg_crc(head)) + head[26:]


def oggs(good_vorbis):
    vorbis = b"\1vorbis" + struct.pack("<IBIiiiBB", 0, 2, 44100, 0, 128000, 0, 0xb8, 1)
    head = page(vorbis, 2)
    end = page(b"x", 4, 2 ** 63 - 1, number=9)
    yield "a granule of 2^63", good_vorbis[:-2000] + page(b"\0" * 20, 4, 2 ** 63 - 1, struct.unpack_from("<I", good_vorbis, 14)[0])
    yield "a granule of -2^63", head + page(b"x", 4, -2 ** 63)
    yield "10,000 empty pages", head + b"".join(page(number=n) for n in range(10_000)) + end
    yield "5,000 streams", b"".join(page(vorbis, 2, serial=n) for n in range(5000)) + end
    yield "255 channels", page(vorbis[:11] + b"\xff" + vorbis[12:], 2) + end
    yield "4 GHz", page(vorbis[:12] + b"\xff" * 4 + vorbis[16:], 2) + end
    yield "4 billion comments", head + page(b"\3vorbis" + struct.pack("<II", 0, U32), number=1) + end
    yield "a comment of 4 GiB", head + page(b"\3vorbis" + struct.pack("<III", 0, 1, U32) + b"A=", number=1) + end
    yield "a vast codebook", head + page(b"\3vorbis" + bytes(8) + b"\1", number=1) + page(
        b"\5vorbis\xff" + b"BCV" + b"\xff" * 4000, number=2) + end
    picture = base64.b64encode(struct.pack(">II", 3, 9) + b"image/png" + struct.pack(">IIIIII", 0, 1, 1, 24, 0, U32))
    comments = b"\3vorbis" + struct.pack("<III", 0, 1, 23 + len(picture)) + b"METADATA_BLOCK_PICTURE=" + picture + b"\1"
    yield "a picture of 4 GiB", head + page(comments, number=1) + end
    opus = b"OpusHead\1" + struct.pack("<BHIhB", 255, 65535, U32, 32767, 255) + bytes(range(255))
    yield "Opus of 255 channels", page(opus, 2) + page(b"OpusTags" + bytes(8), number=1) + end
    yield "Opus without sound", page(b"OpusHead\1\2" + bytes(9), 2) + page(b"OpusTags" + bytes(8), number=1) + page(b"", 4, 0, number=2)
    yield "FLAC of nothing", page(b"\x7fFLAC\1\0\xff\xff" + b"fLaC\0\0\0\x22" + streaminfo(samples=2 ** 36 - 1), 2) + end
    yield "Speex", page(b"Speex   " + bytes(72), 2) + end
    yield "Skeleton alone", page(b"fishead\0" + bytes(56), 2) + page(b"", 4, number=1)
    yield "an Ogg in an Ogg", head + page(good_vorbis[:4000], number=1) + end


def wavpack(samples=1000, size=None, block_samples=1000, flags=0x1804 | 9 << 23, body=NOISE, version=0x410):
    head = struct.pack("<HBBIIIII", version, 0, 0, samples, 0, block_samples, flags, 0)
    return b"wvpk" + struct.pack("<I", len(head) + len(body) if size is None else size) + head + body


def others():
    yield "WavPack of 4 billion samples", wavpack(samples=U32 - 1)
    yield "WavPack block of 4 GiB", wavpack(size=U32)
    yield "WavPack block of 0", wavpack(size=0)
    yield "WavPack block of 4 billion samples", wavpack(block_samples=U32)
    yield "WavPack of many channels", wavpack(body=b"\x0d\x04" + b"\xff" * 8 + NOISE) * 3
    yield "WavPack metadata of 32 MB", wavpack(body=b"\xa2\xff\xff\xff" + NOISE)
    yield "5,000 WavPack blocks of nothing", wavpack(body=b"", block_samples=0) * 5000
    yield "AAC frames of 0", b"\xff\xf1\x50\x80\x00\x1f\xfc" * 5000
    yield "AAC frames of 8 KB", b"\xff\xf1\x50\xbf\xff\xff\xfc" + NOISE
    yield "AAC of 96 elements", (b"\xff\xf1\x50\x80\x20\x1f\xfc" + b"\xe5" * 249) * 30


# ---- what must never be opened

def strangers(folder, ffmpeg):
    secret = "file:///etc/passwd"
    yield "a playlist", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n".encode()
    yield "a list to join", f"ffconcat version 1.0\nfile '{secret}'\n".encode()
    yield "a session", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
    yield "a DASH manifest", f"<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period><BaseURL>{secret}</BaseURL></Period></MPD>".encode()
    yield "a reference movie", box(b"ftyp", b"qt  \0\0\0\0") + box(b"moov", box(b"rmra", box(b"rmda", full(
        b"rdrf", b"url " + struct.pack(">I", len(secret)) + secret.encode()))))
    yield "a zip", b"PK\3\4" + bytes(2000)
    yield "a program", b"\x7fELF" + bytes(2000)
    yield "one byte", b"R"
    yield "a name and no more", b"RIFF"
    for kind, options in {"mkv": [], "avi": ["-c:a", "pcm_s16le"], "ts": ["-c:a", "mp2"], "flv": ["-c:a", "aac"], "au": [], "caf": [],
                          "mp2": [], "ac3": [], "voc": [], "webm": ["-c:a", "libopus"]}.items():
        ffmpeg("-i", folder / "source.wav", *options, folder / f"stranger.{kind}")
        yield f"a {kind}", (folder / f"stranger.{kind}").read_bytes()


# ---- pictures

def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(body)) + name + body +
                                           struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks)


def ihdr(width, height, depth=8, colour=2, interlaced=0):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)


def jpeg(width, height, *, scans=1, sampling=0x11):
    def segment(marker, body):
        return bytes([0xff, marker]) + struct.pack(">H", len(body) + 2) + body

    table = segment(0xdb, b"\0" + b"\1" * 64)
    frame = segment(0xc2, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, sampling, 0]))
    huffman = segment(0xc4, b"\0" + b"\1" + bytes(15) + b"\0") + segment(0xc4, b"\x10" + b"\1" + bytes(15) + b"\0")
    scan = segment(0xda, b"\1\1\0\0\0\1") + b"\0"
    more = segment(0xda, b"\1\1\0\1\x3f\1") + b"\0"
    return b"\xff\xd8" + table + frame + huffman + scan + more * (scans - 1) + b"\xff\xd9"


def gif(width, height, *frames, palette=True):
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80 if palette else 0, 0, 0)
    return head + (b"\0\0\0\xff\xff\xff" if palette else b"") + b"".join(frames) + b";"


def gif_frame(width, height, bits=2, data=b"\x44\x01", left=0, top=0):
    return b"," + struct.pack("<HHHHB", left, top, width, height, 0) + bytes([bits, len(data)]) + data + b"\0"


def webp(*chunks, length=None):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def pictures(good_webp):
    line = zlib.compress(bytes(1000))
    yield "100,000 a side", png(ihdr(100_000, 100_000), (b"IDAT", line))
    yield "2^31 a side", png(ihdr(2 ** 31 - 1, 2 ** 31 - 1), (b"IDAT", line))
    yield "64 million pixels and a line", png(ihdr(12_000, 5_300, 16, 6, 1), (b"IDAT", line))
    yield "60 million pixels of nothing", png(ihdr(12_000, 5_000, 8, 0), (b"IDAT", blown(61_000_000)))
    for name in (b"zTXt", b"iTXt", b"iCCP"):
        text = b"a\0" + (b"\1\0\0\0" if name == b"iTXt" else b"\0") + blown(4 << 30)[:5_000_000]
        yield f"{name.decode()} of 4 GB", png(ihdr(9, 9), (name, text), (b"IDAT", line), (b"IEND", b""))
    yield "200,000 chunks", png(ihdr(9, 9), *[(b"tEXt", b"a\0b")] * 200_000, (b"IDAT", line), (b"IEND", b""))
    yield "100,000 IDAT", png(ihdr(9, 9), *[(b"IDAT", b"")] * 100_000, (b"IDAT", line), (b"IEND", b""))
    yield "an animation", png(ihdr(9, 9), (b"acTL", struct.pack(">II", U32, U32)), (b"fcTL", struct.pack(
        ">IIIIIHHBB", 0, U32, U32, U32, U32, 0, 0, 9, 9)), (b"IDAT", line), (b"IEND", b""))
    yield "bits that do not exist", png(ihdr(9, 9, 77, 9), (b"IDAT", line), (b"IEND", b""))
    yield "a palette of nothing", png(ihdr(9, 9, 8, 3), (b"PLTE", b""), (b"tRNS", bytes(300)), (b"IDAT", line), (b"IEND", b""))
    yield "a chunk of 4 GiB", b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"".join(ihdr(9, 9)) + bytes(4) + b"\xff\xff\xff\xffIDAT"
    yield "a JPEG of 65,535 a side", jpeg(65535, 65535)
    yield "a JPEG of 300 scans", jpeg(2000, 2000, scans=300)
    yield "a JPEG of 64 million pixels", jpeg(12_000, 5_300)
    yield "a JPEG sampled by 0", jpeg(100, 100, sampling=0)
    yield "a JPEG of segments", b"\xff\xd8" + b"\xff\xe1\0\2" * 100_000 + jpeg(9, 9)[2:]
    yield "a JPEG of fill bytes", b"\xff\xd8" + b"\xff" * 1_000_000 + jpeg(9, 9)[2:]
    yield "a JPEG in JPEGs", b"".join(b"\xff\xd8\xff\xe1\x10\0Exif\0\0" + bytes(100) for _ in range(3000)) + jpeg(9, 9)
    yield "a JPEG of ICC profiles", b"\xff\xd8" + b"".join(b"\xff\xe2" + struct.pack(">H", 65533) + b"ICC_PROFILE\0" + bytes(
        [n, 255]) + bytes(65517) for n in range(1, 256)) + jpeg(9, 9)[2:]
    yield "a GIF of 65,535 a side", gif(65535, 65535, gif_frame(1, 1))
    yield "a GIF of 64 million pixels", gif(12_000, 5_300, gif_frame(1, 1))
    yield "a GIF of 100,000 frames", gif(9, 9, gif_frame(9, 9) * 100_000)
    yield "a GIF frame beside its screen", gif(9, 9, gif_frame(9, 9, left=60_000, top=60_000))
    yield "a GIF frame larger than its screen", gif(9, 9, gif_frame(60_000, 60_000))
    for bits in (0, 1, 12, 13, 255):
        yield f"a GIF of {bits} bits", gif(9, 9, gif_frame(9, 9, bits=bits, data=NOISE[:200]))
    yield "a GIF of extensions", gif(9, 9, b"!\xfe\1x\0" * 100_000, gif_frame(9, 9))
    yield "a WebP canvas of 16,777,216 a side", webp(chunk(b"VP8X", b"\x10" + bytes(3) + b"\xff" * 6))
    yield "a WebP of 4 GiB", good_webp[:4] + b"\xff" * 4 + good_webp[8:]
    yield "a WebP of an animation", webp(chunk(b"VP8X", b"\2" + bytes(3) + b"\x08\0\0\x08\0\0"), chunk(b"ANIM", bytes(6)),
                                         chunk(b"ANMF", bytes(16) + good_webp[12:]) * 500)
    yield "a WebP in WebPs", webp(chunk(b"VP8X", bytes(4) + b"\x08\0\0\x08\0\0"), *[chunk(b"ALPH", NOISE)] * 500, good_webp)
    yield "a WebP without loss of 16,384 a side", webp(chunk(b"VP8L", b"\x2f\xff\xff\xff\x0f" + NOISE))
    yield "a WebP without loss of noise", webp(chunk(b"VP8L", b"\x2f\x63\xc0\x18\x00" + NOISE))
    yield "a bitmap", b"BM" + bytes(2000)
    yield "a drawing", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
