/* TagLib behind a C interface (tagfile.h). Called by tags_file.c, on the main thread of
 * tutti-media.
 *
 * TagLib reads through a stream of ours: by position, never past the object's end, with a small
 * read-ahead since it reads heads in pieces. A read of more than TAGFILE_READ_BYTES_MAX at once (a
 * tag that says it has 100 MB) is refused and remembered, so that it is told apart from a file
 * without tags.
 */
#include "media/tagfile.h"

#include "base/error.h"
extern "C" {
#include "media/sealed.h"
}

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include <aifffile.h>
#include <apefile.h>
#include <apetag.h>
#include <asffile.h>
#include <asftag.h>
#include <attachedpictureframe.h>
#include <fileref.h>
#include <flacfile.h>
#include <id3v2tag.h>
#include <mp4file.h>
#include <mp4tag.h>
#include <mpcfile.h>
#include <mpegfile.h>
#include <oggflacfile.h>
#include <opusfile.h>
#include <speexfile.h>
#include <synchronizedlyricsframe.h>
#include <tpropertymap.h>
#include <trueaudiofile.h>
#include <vorbisfile.h>
#include <wavfile.h>
#include <wavpackfile.h>
#include <xiphcomment.h>

namespace
{

class Descriptor : public TagLib::IOStream
{
  public:
    Descriptor(int fd, int64_t bytes) : fd_(fd), bytes_(bytes)
    {
    }

    int error() const
    {
        return error_;
    }

    TagLib::FileName name() const override
    {
        return "";
    }

    TagLib::ByteVector readBlock(unsigned long length) override
    {
        int64_t left = bytes_ - at_;
        if (left <= 0 || length == 0) {
            return TagLib::ByteVector();
        }
        size_t wanted = (int64_t)length < left ? (size_t)length : (size_t)left;
        if (wanted > TAGFILE_READ_BYTES_MAX) {
            error_ = ERR_TOO_LARGE;
            return TagLib::ByteVector();
        }
        return wanted <= sizeof ahead_ ? fromAhead(wanted) : direct(wanted);
    }

    void writeBlock(const TagLib::ByteVector &) override
    {
    }
    void insert(const TagLib::ByteVector &, unsigned long, unsigned long) override
    {
    }
    void removeBlock(unsigned long, unsigned long) override
    {
    }
    bool readOnly() const override
    {
        return true;
    }
    bool isOpen() const override
    {
        return true;
    }

    void seek(long offset, Position from) override
    {
        int64_t base = from == Beginning ? 0 : from == Current ? at_ : bytes_;
        at_ = base + offset < 0 ? 0 : base + offset;
    }

    long tell() const override
    {
        return (long)at_;
    }
    long length() override
    {
        return (long)bytes_;
    }
    void truncate(long) override
    {
    }

  private:
    ssize_t readAt(void *bytes, size_t length, int64_t offset)
    {
        ssize_t got;
        do {
            got = sealed_pread(fd_, bytes, length, offset);
        } while (got < 0 && errno == EINTR);
        if (got < 0) {
            error_ = ERR_IO;
        }
        return got;
    }

    TagLib::ByteVector fromAhead(size_t wanted)
    {
        if (at_ < ahead_from_ || at_ + (int64_t)wanted > ahead_from_ + ahead_bytes_) {
            int64_t left = bytes_ - at_;
            ssize_t got =
                readAt(ahead_, left < (int64_t)sizeof ahead_ ? (size_t)left : sizeof ahead_, at_);
            ahead_from_ = at_;
            ahead_bytes_ = got > 0 ? got : 0;
        }
        int64_t there = ahead_from_ + ahead_bytes_ - at_;
        size_t length = there < (int64_t)wanted ? (size_t)(there > 0 ? there : 0) : wanted;
        TagLib::ByteVector block(ahead_ + (at_ - ahead_from_), (unsigned)length);
        at_ += (int64_t)length;
        return block;
    }

    TagLib::ByteVector direct(size_t wanted)
    {
        TagLib::ByteVector block((unsigned)wanted, 0);
        ssize_t got = readAt(block.data(), wanted, at_);
        block.resize((unsigned)(got > 0 ? got : 0));
        at_ += got > 0 ? got : 0;
        return block;
    }

    int fd_;
    int64_t bytes_, at_ = 0, ahead_from_ = 0, ahead_bytes_ = 0;
    int error_ = 0;
    char ahead_[16 * 1024] = {};
};

struct Kind {
    const char *container, *codec;
    bool lossless;
};

Kind kindOfMp4(const TagLib::MP4::File *file)
{
    bool alac = file->audioProperties() != nullptr &&
                file->audioProperties()->codec() == TagLib::MP4::Properties::ALAC;
    return {"mp4", alac ? "alac" : "aac", alac};
}

Kind kindOf(TagLib::File *file)
{
    using namespace TagLib;
    if (auto mp4 = dynamic_cast<MP4::File *>(file)) {
        return kindOfMp4(mp4);
    }
    if (auto pack = dynamic_cast<WavPack::File *>(file)) {
        return {"wavpack", "wavpack",
                pack->audioProperties() != nullptr && pack->audioProperties()->isLossless()};
    }
    return dynamic_cast<MPEG::File *>(file)          ? Kind{"mp3", "mp3", false}
           : dynamic_cast<FLAC::File *>(file)        ? Kind{"flac", "flac", true}
           : dynamic_cast<Ogg::Vorbis::File *>(file) ? Kind{"ogg", "vorbis", false}
           : dynamic_cast<Ogg::Opus::File *>(file)   ? Kind{"ogg", "opus", false}
           : dynamic_cast<Ogg::FLAC::File *>(file)   ? Kind{"ogg", "flac", true}
           : dynamic_cast<Ogg::Speex::File *>(file)  ? Kind{"ogg", "speex", false}
           : dynamic_cast<RIFF::WAV::File *>(file)   ? Kind{"wav", "pcm", true}
           : dynamic_cast<RIFF::AIFF::File *>(file)  ? Kind{"aiff", "pcm", true}
           : dynamic_cast<APE::File *>(file)         ? Kind{"ape", "ape", true}
           : dynamic_cast<MPC::File *>(file)         ? Kind{"mpc", "musepack", false}
           : dynamic_cast<TrueAudio::File *>(file)   ? Kind{"tta", "tta", true}
           : dynamic_cast<ASF::File *>(file)         ? Kind{"asf", "wma", false}
                                                     : Kind{nullptr, nullptr, false};
}

int bitsOf(TagLib::File *file)
{
    using namespace TagLib;
    if (auto flac = dynamic_cast<FLAC::File *>(file)) {
        return flac->audioProperties() != nullptr ? flac->audioProperties()->bitsPerSample() : 0;
    }
    if (auto mp4 = dynamic_cast<MP4::File *>(file)) {
        return mp4->audioProperties() != nullptr ? mp4->audioProperties()->bitsPerSample() : 0;
    }
    if (auto wav = dynamic_cast<RIFF::WAV::File *>(file)) {
        return wav->audioProperties() != nullptr ? wav->audioProperties()->bitsPerSample() : 0;
    }
    return 0;
}

TagLib::ID3v2::Tag *id3Of(TagLib::File *file)
{
    using namespace TagLib;
    if (auto mpeg = dynamic_cast<MPEG::File *>(file)) {
        return mpeg->hasID3v2Tag() ? mpeg->ID3v2Tag() : nullptr;
    }
    if (auto wav = dynamic_cast<RIFF::WAV::File *>(file)) {
        return wav->hasID3v2Tag() ? wav->ID3v2Tag() : nullptr;
    }
    if (auto aiff = dynamic_cast<RIFF::AIFF::File *>(file)) {
        return aiff->hasID3v2Tag() ? aiff->tag() : nullptr;
    }
    if (auto flac = dynamic_cast<FLAC::File *>(file)) {
        return flac->hasID3v2Tag() ? flac->ID3v2Tag() : nullptr;
    }
    if (auto tta = dynamic_cast<TrueAudio::File *>(file)) {
        return tta->hasID3v2Tag() ? tta->ID3v2Tag() : nullptr;
    }
    return nullptr;
}

/* --- values --- */

struct Teller {
    tagfile_value *value;
    void *context;

    void tell(const char *name, const TagLib::String &text) const
    {
        const std::string bytes = text.to8Bit(true);
        if (!bytes.empty()) {
            value(context, name, bytes.data(), bytes.size());
        }
    }
};

void tellMap(const Teller &teller, const TagLib::PropertyMap &map)
{
    for (const auto &entry : map) {
        const std::string name = entry.first.upper().to8Bit(true);
        unsigned told = 0;
        for (const auto &text : entry.second) {
            if (told++ < TAGFILE_VALUES_MAX) {
                teller.tell(name.c_str(), text);
            }
        }
    }
}

/* What the map lacks, from the tags that it did not take (an ID3v1 behind an ID3v2). */
void tellBasics(const Teller &teller, const TagLib::PropertyMap &map, const TagLib::Tag *tag)
{
    if (tag == nullptr) {
        return;
    }
    const struct {
        const char *name;
        TagLib::String text;
    } basics[] = {
        {"TITLE", tag->title()},
        {"ARTIST", tag->artist()},
        {"ALBUM", tag->album()},
        {"GENRE", tag->genre()},
        {"DATE", tag->year() > 0 ? TagLib::String::number((int)tag->year()) : TagLib::String()},
        {"TRACKNUMBER",
         tag->track() > 0 ? TagLib::String::number((int)tag->track()) : TagLib::String()},
    };
    for (const auto &basic : basics) {
        if (!map.contains(basic.name) && !basic.text.isEmpty()) {
            teller.tell(basic.name, basic.text);
        }
    }
}

/* iTunes' free-form items that TagLib's map leaves out. */
void tellFreeForm(const Teller &teller, const TagLib::PropertyMap &map, TagLib::MP4::Tag *tag)
{
    static const char prefix[] = "----:com.apple.iTunes:";
    for (const auto &item : tag->itemMap()) {
        if (!item.first.startsWith(prefix)) {
            continue;
        }
        const TagLib::String name = item.first.substr(sizeof prefix - 1).upper();
        if (!map.contains(name)) {
            for (const auto &text : item.second.toStringList()) {
                teller.tell(name.to8Bit(true).c_str(), text);
            }
        }
    }
}

/* What TagLib's map leaves out of ASF: further artists, and names that are nobody's. */
void tellAttributes(const Teller &teller, const TagLib::PropertyMap &map, TagLib::ASF::Tag *tag)
{
    for (const auto &entry : tag->attributeListMap()) {
        const TagLib::String name = entry.first.upper();
        const bool author = name == "AUTHOR";
        for (const auto &attribute : entry.second) {
            const auto type = attribute.type();
            if (!author && map.contains(name)) {
                continue;
            }
            if (type == TagLib::ASF::Attribute::UnicodeType) {
                teller.tell(author ? "ARTIST" : name.to8Bit(true).c_str(), attribute.toString());
            } else if (type == TagLib::ASF::Attribute::BoolType && attribute.toBool()) {
                teller.tell(name.to8Bit(true).c_str(), "1");
            }
        }
    }
}

/* What TagLib's map leaves under the frame's own name. */
void tellFrames(const Teller &teller, const TagLib::PropertyMap &map, TagLib::ID3v2::Tag *tag)
{
    const TagLib::ID3v2::FrameList &list = tag->frameList("TSST");
    if (!list.isEmpty() && !map.contains("DISCSUBTITLE")) {
        teller.tell("DISCSUBTITLE", list.front()->toString());
    }
}

/* Lines with their times, as an LRC file has them; only where the times are milliseconds. */
void tellSynchronized(const Teller &teller, TagLib::ID3v2::Tag *tag)
{
    using TagLib::ID3v2::SynchronizedLyricsFrame;
    for (auto frame : tag->frameList("SYLT")) {
        auto lyrics = dynamic_cast<SynchronizedLyricsFrame *>(frame);
        if (lyrics == nullptr ||
            lyrics->timestampFormat() != SynchronizedLyricsFrame::AbsoluteMilliseconds) {
            continue;
        }
        TagLib::String text;
        for (const auto &line : lyrics->synchedText()) {
            char time[24];
            (void)std::snprintf(time, sizeof time, "[%02u:%02u.%02u]", line.time / 60000,
                                line.time / 1000 % 60, line.time / 10 % 100);
            text += time + line.text.stripWhiteSpace() + "\n";
        }
        teller.tell("SYNCEDLYRICS", text);
        return;
    }
}

/* --- pictures --- */

struct Picture {
    TagLib::ByteVector bytes;
    bool front = false;

    void offer(const TagLib::ByteVector &other, bool is_front)
    {
        if (!other.isEmpty() && (bytes.isEmpty() || (is_front && !front))) {
            bytes = other;
            front = is_front;
        }
    }
};

void offerList(Picture &picture, const TagLib::List<TagLib::FLAC::Picture *> &list)
{
    for (auto one : list) {
        picture.offer(one->data(), one->type() == TagLib::FLAC::Picture::FrontCover);
    }
}

void offerId3(Picture &picture, TagLib::ID3v2::Tag *tag)
{
    using TagLib::ID3v2::AttachedPictureFrame;
    for (auto frame : tag->frameList("APIC")) {
        auto one = dynamic_cast<AttachedPictureFrame *>(frame);
        if (one != nullptr) {
            picture.offer(one->picture(), one->type() == AttachedPictureFrame::FrontCover);
        }
    }
}

void offerApe(Picture &picture, TagLib::APE::Tag *tag)
{
    static const char name[] = "COVER ART (FRONT)";
    if (tag != nullptr && tag->itemListMap().contains(name)) {
        const TagLib::ByteVector data = tag->itemListMap()[name].binaryData();
        int end = data.find('\0'); /* a file name stands before the bytes */
        picture.offer(end >= 0 ? data.mid((unsigned)end + 1) : data, true);
    }
}

void offerMp4(Picture &picture, TagLib::MP4::Tag *tag)
{
    if (tag != nullptr && tag->contains("covr")) {
        for (const auto &cover : tag->item("covr").toCoverArtList()) {
            picture.offer(cover.data(), false);
        }
    }
}

void offerAsf(Picture &picture, TagLib::ASF::Tag *tag)
{
    static const char name[] = "WM/Picture";
    if (tag != nullptr && tag->attributeListMap().contains(name)) {
        for (const auto &attribute : tag->attributeListMap()[name]) {
            const TagLib::ASF::Picture one = attribute.toPicture();
            picture.offer(one.picture(), one.type() == TagLib::ASF::Picture::FrontCover);
        }
    }
}

Picture pictureOf(TagLib::File *file)
{
    using namespace TagLib;
    Picture picture;
    if (file == nullptr) {
        return picture;
    }
    if (auto flac = dynamic_cast<FLAC::File *>(file)) {
        offerList(picture, flac->pictureList());
    } else if (auto xiph = dynamic_cast<Ogg::XiphComment *>(file->tag())) {
        offerList(picture, xiph->pictureList());
    } else if (auto mp4 = dynamic_cast<MP4::File *>(file)) {
        offerMp4(picture, mp4->tag());
    } else if (auto ape = dynamic_cast<APE::File *>(file)) {
        offerApe(picture, ape->APETag());
    } else if (auto pack = dynamic_cast<WavPack::File *>(file)) {
        offerApe(picture, pack->APETag());
    } else if (auto mpc = dynamic_cast<MPC::File *>(file)) {
        offerApe(picture, mpc->APETag());
    } else if (auto asf = dynamic_cast<ASF::File *>(file)) {
        offerAsf(picture, asf->tag());
    }
    if (ID3v2::Tag *id3 = id3Of(file)) {
        offerId3(picture, id3);
    }
    return picture;
}

/* --- both --- */

int wrong(const Descriptor &stream)
{
    return stream.error() != 0 ? stream.error() : ERR_MEDIA_TYPE;
}

bool isKnown(const TagLib::FileRef &ref)
{
    return !ref.isNull() && ref.file()->isValid() && kindOf(ref.file()).container != nullptr;
}

int readAll(int fd, int64_t bytes, const Teller &teller, struct tagfile_sound *ret_sound)
{
    Descriptor stream(fd, bytes);
    TagLib::FileRef ref(&stream, true, TagLib::AudioProperties::Average);
    if (!isKnown(ref) || stream.error() != 0) {
        return wrong(stream);
    }
    TagLib::File *file = ref.file();
    const TagLib::PropertyMap map = file->properties();
    tellMap(teller, map);
    tellBasics(teller, map, file->tag());
    if (auto mp4 = dynamic_cast<TagLib::MP4::File *>(file)) {
        tellFreeForm(teller, map, mp4->tag());
    }
    if (auto asf = dynamic_cast<TagLib::ASF::File *>(file)) {
        tellAttributes(teller, map, asf->tag());
    }
    if (TagLib::ID3v2::Tag *id3 = id3Of(file)) {
        tellFrames(teller, map, id3);
        tellSynchronized(teller, id3);
    }
    const TagLib::AudioProperties *sound = file->audioProperties();
    const Kind kind = kindOf(file);
    *ret_sound = {};
    ret_sound->container = kind.container;
    ret_sound->codec = kind.codec;
    ret_sound->lossless = kind.lossless;
    ret_sound->rate = sound != nullptr ? sound->sampleRate() : 0;
    ret_sound->channels = sound != nullptr ? sound->channels() : 0;
    ret_sound->duration_ms = sound != nullptr ? sound->lengthInMilliseconds() : 0;
    ret_sound->bits = bitsOf(file);
    ret_sound->has_picture = !pictureOf(file).bytes.isEmpty();
    return stream.error();
}

} // namespace

extern "C" int tagfile_read(int fd, int64_t bytes, tagfile_value *value, void *context,
                            struct tagfile_sound *ret_sound)
{
    try {
        const Teller teller = {value, context};
        return readAll(fd, bytes, teller, ret_sound);
    } catch (const std::bad_alloc &) {
        return ERR_NO_MEMORY;
    } catch (...) {
        return ERR_MEDIA_TYPE;
    }
}

extern "C" int tagfile_picture(int fd, int64_t bytes,
                               int (*write)(void *context, const void *bytes, size_t length),
                               void *context)
{
    try {
        Descriptor stream(fd, bytes);
        TagLib::FileRef ref(&stream, false);
        if (!isKnown(ref) || stream.error() != 0) {
            return wrong(stream);
        }
        const Picture picture = pictureOf(ref.file());
        return picture.bytes.isEmpty() ? ERR_NOT_FOUND
                                       : write(context, picture.bytes.data(), picture.bytes.size());
    } catch (const std::bad_alloc &) {
        return ERR_NO_MEMORY;
    } catch (...) {
        return ERR_MEDIA_TYPE;
    }
}
