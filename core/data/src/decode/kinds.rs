//! Files that are told apart before, or in place of, being decoded.

use super::FORMATS;

/// Why a JPEG can't be decoded, where that is seen from its segments.
///
/// # Errors
/// It is of a variant that no decoder here reads, or it breaks off.
pub(super) fn check_jpeg(bytes: &[u8]) -> Result<(), String> {
    let mut at = 2;
    // Segments, with their lengths, up to the start of the first scan. EXIF thumbnails in them have end markers too.
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let variant = match marker {
            0xda => {
                // Inside scans, 0xff is followed by zero or a restart marker unless it is a marker itself. The decoder
                // does not tell that the end is missing: it fills up with grey.
                return match bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]) {
                    true => Ok(()),
                    false => Err(BREAKS_OFF.to_owned()),
                };
            }
            0xf7 => Some("JPEG-LS".to_owned()),
            0xc3 | 0xc7 => Some("a lossless JPEG".to_owned()),
            0xcb | 0xcf => Some("a lossless JPEG with arithmetic coding".to_owned()),
            0xc9 | 0xca | 0xcd | 0xce => Some("a JPEG with arithmetic coding".to_owned()),
            0xc5 | 0xc6 => Some("a hierarchical JPEG".to_owned()),
            0xc0..=0xc2 => match bytes.get(at + 4) {
                Some(bits) if *bits != 8 => Some(format!("a JPEG of {bits} bits")),
                _ => None,
            },
            _ => None,
        };
        if let Some(variant) = variant {
            return Err(format!(
                "it is {variant}, which is not supported; convert it to a usual JPEG or to PNG, for instance by \
                 `magick IN.jpg OUT.png`"
            ));
        }
        at += match marker {
            0xff => 1,
            _ => 2 + usize::from(u16::from_be_bytes([high, low])),
        };
    }
    Err(BREAKS_OFF.to_owned())
}

const BREAKS_OFF: &str = "the JPEG breaks off before its end; copy or export it again";

/// What a decoder says that it has not learned.
pub(super) fn unsupported(what: &str) -> String {
    format!("{what} is not supported; export it again in a common variant of {FORMATS}")
        .replace("is not supported is not supported", "is not supported")
}

/// What a file is whose format can't be decoded, and the way out.
pub(super) fn unknown_format(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "the file is empty".to_owned();
    }
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let (what, extension) = match bytes.get(4..8) {
        Some(b"ftyp") => match bytes.get(8..12) {
            Some(b"avif" | b"avis") => ("AVIF", "avif"),
            Some(b"crx ") => ("a camera's raw file", "cr3"),
            Some(
                b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs" | b"mif1"
                | b"msf1",
            ) => ("HEIC", "heic"),
            _ => ("a video", "mp4"),
        },
        _ if starts(b"\xff\x0a") || starts(b"\0\0\0\x0cJXL ") => ("JPEG XL", "jxl"),
        _ if starts(b"\0\0\0\x0cjP  ") || starts(b"\xff\x4f\xff\x51") => ("JPEG 2000", "jp2"),
        _ if starts(b"8BPS") => ("a Photoshop file", "psd"),
        _ if starts(b"\x76\x2f\x31\x01") => ("OpenEXR", "exr"),
        _ if starts(b"SIMPLE  =") => ("FITS", "fits"),
        _ if bytes.get(128..132) == Some(b"DICM") => ("DICOM", "dcm"),
        _ if bytes.get(257..262) == Some(b"ustar") => ("an archive of files", "tar"),
        _ if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") => ("an archive of files", "zip"),
        _ if starts(b"\x1f\x8b") => ("a packed file", "tgz"),
        _ if starts(b"PAR1") => ("a table in Parquet", "parquet"),
        _ => return format!("its content is not {FORMATS}; convert it to one of these, or leave it out"),
    };
    match conversion_hint(extension) {
        Some(way) => format!("it is {what}, which is not supported; {way}"),
        None => format!("it is {what}, which is not supported; export it as {FORMATS}"),
    }
}

/// How pictures with this extension become ones that can be decoded.
pub fn conversion_hint(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "heic" | "heif" => {
            "convert it first: `heif-convert IN.heic OUT.jpg`, `magick mogrify -format jpg *.heic`, or on macOS \
             `sips -s format jpeg *.heic --out FOLDER`"
        }
        "avif" => "convert it first: `heif-convert IN.avif OUT.png`, or `magick mogrify -format png *.avif`",
        "jxl" => "convert it first: `djxl IN.jxl OUT.png`",
        "jp2" | "j2k" => "convert it first: `opj_decompress -i IN.jp2 -o OUT.png`",
        "cr2" | "cr3" | "nef" | "arw" | "dng" | "raf" | "orf" | "rw2" => {
            "develop it first, for instance by `darktable-cli IN OUT.jpg`"
        }
        "mov" | "mp4" | "avi" | "mkv" | "webm" => {
            "take pictures out of it first: `ffmpeg -i IN -vf fps=1 %05d.jpg`"
        }
        "tar" => "unpack it, for instance by `tar -xf IN.tar -C FOLDER`, and name the folder",
        "zip" => "unpack it, for instance by `unzip IN.zip -d FOLDER`, and name the folder",
        "tgz" => "unpack it, for instance by `tar -xzf IN.tgz -C FOLDER`, and name the folder",
        "parquet" => {
            "write its pictures into a folder, with a subfolder for each label, and name that folder"
        }
        "dcm" => "convert it first: `dcmj2pnm --write-16-bit-png IN.dcm OUT.png`",
        _ => return None,
    })
}
