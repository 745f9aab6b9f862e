//! The icons: glyphs of a subset of Phosphor (MIT), by what they mean here.
//!
//! Each constant is a text of one character, so that an icon can stand inside any text. The name in brackets is
//! Phosphor's; `assets/fonts/subset.py` reads this file, checks that name and code point belong together and makes the
//! font of exactly these glyphs.

macro_rules! icons {
    ($($(#[$doc:meta])+ $name:ident = $glyph:literal,)+) => {
        $($(#[$doc])+ pub const $name: &str = $glyph;)+

        /// Every icon with the name of its constant.
        pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $name),)+];
    };
}

icons! {
    // Pictures and files.
    /// One picture (`image`)
    IMAGE = "\u{e2ca}",
    /// Several pictures (`images`)
    IMAGES = "\u{e836}",
    /// A picture in its frame (`image-square`)
    PICTURE_FRAME = "\u{e2cc}",
    /// The gallery (`images-square`)
    GALLERY = "\u{e834}",
    /// A picture that can't be read (`image-broken`)
    IMAGE_BROKEN = "\u{e7a8}",
    /// A file (`file`)
    FILE = "\u{e230}",
    /// A picture file (`file-image`)
    FILE_IMAGE = "\u{ea24}",
    /// A text file (`file-text`)
    FILE_TEXT = "\u{e23a}",
    /// Several files (`files`)
    FILES = "\u{e710}",
    /// An archive (`file-zip`)
    ARCHIVE = "\u{e958}",
    /// A folder (`folder`)
    FOLDER = "\u{e24a}",
    /// Open a folder (`folder-open`)
    FOLDER_OPEN = "\u{e256}",
    /// A new folder (`folder-plus`)
    FOLDER_PLUS = "\u{e258}",
    /// Disk space (`hard-drives`)
    DISK = "\u{e2a0}",
    /// Paste (`clipboard`)
    PASTE = "\u{e196}",
    /// Copy as text (`clipboard-text`)
    CLIPBOARD_TEXT = "\u{e198}",
    /// Copy (`copy`)
    COPY = "\u{e1ca}",
    /// Camera (`camera`)
    CAMERA = "\u{e10e}",
    /// Film with the camera (`video-camera`)
    VIDEO = "\u{e4da}",
    /// Save, write a checkpoint (`floppy-disk`)
    SAVE = "\u{e248}",
    /// Download (`download-simple`)
    DOWNLOAD = "\u{e20c}",
    /// Upload (`upload-simple`)
    UPLOAD = "\u{e4c0}",
    /// Export (`export`)
    EXPORT = "\u{eaf0}",
    /// Share (`share-network`)
    SHARE = "\u{e408}",
    /// Delete (`trash`)
    TRASH = "\u{e4a6}",
    /// Drop something here (`tray-arrow-down`)
    DROP_HERE = "\u{e010}",
    /// Fetch from the network (`cloud-arrow-down`)
    FETCH = "\u{e1ac}",
    /// A data set (`database`)
    DATASET = "\u{e1de}",

    // A run.
    /// Start (`play`)
    PLAY = "\u{e3d0}",
    /// Pause (`pause`)
    PAUSE = "\u{e39e}",
    /// Stop (`stop`)
    STOP = "\u{e46c}",
    /// Start or pause (`play-pause`)
    PLAY_PAUSE = "\u{e8be}",
    /// Record (`record`)
    RECORD = "\u{e3ee}",
    /// Resume; undo (`arrow-counter-clockwise`)
    RESUME = "\u{e038}",
    /// Redo; reload (`arrow-clockwise`)
    REDO = "\u{e036}",
    /// Refresh (`arrows-clockwise`)
    REFRESH = "\u{e094}",
    /// To the first (`skip-back`)
    FIRST = "\u{e5a4}",
    /// To the last (`skip-forward`)
    LAST = "\u{e5a6}",
    /// Backwards (`rewind`)
    REWIND = "\u{e6a8}",
    /// Forwards (`fast-forward`)
    FAST_FORWARD = "\u{e6a6}",
    /// Play in a loop (`repeat`)
    LOOP = "\u{e3f6}",
    /// Timeline, history (`clock-counter-clockwise`)
    TIMELINE = "\u{e1a0}",
    /// Time (`clock`)
    CLOCK = "\u{e19a}",
    /// Time left (`timer`)
    TIMER = "\u{e492}",
    /// Waiting (`hourglass-medium`)
    WAITING = "\u{e2b8}",
    /// Film (`film-strip`)
    FILM = "\u{e792}",
    /// Make a film (`film-reel`)
    MAKE_FILM = "\u{e8c0}",
    /// Finished (`flag-checkered`)
    FINISHED = "\u{ea38}",
    /// A mark (`flag`)
    FLAG = "\u{e244}",
    /// Curves (`chart-line`)
    CURVES = "\u{e154}",
    /// A rising curve (`chart-line-up`)
    CURVE_UP = "\u{e156}",
    /// Bars (`chart-bar`)
    BARS = "\u{e150}",
    /// Scatter plot (`chart-scatter`)
    SCATTER = "\u{eaac}",
    /// Throughput (`gauge`)
    SPEED = "\u{e628}",
    /// Health of a run (`heartbeat`)
    HEALTH = "\u{e2ac}",
    /// A signal (`pulse`)
    SIGNAL = "\u{e000}",
    /// Recipe, experiment (`flask`)
    RECIPE = "\u{e79e}",
    /// The teacher (`graduation-cap`)
    TEACHER = "\u{e62c}",
    /// The student (`student`)
    STUDENT = "\u{e73e}",
    /// Compare runs (`git-diff`)
    COMPARE_RUNS = "\u{e27c}",
    /// What will happen (`list-checks`)
    PLAN = "\u{eadc}",

    // Looking into a model.
    /// See, watch (`eye`)
    EYE = "\u{e220}",
    /// Hide (`eye-slash`)
    EYE_OFF = "\u{e224}",
    /// Look closely (`eyes`)
    LOOK = "\u{ee5c}",
    /// Attention (`brain`)
    BRAIN = "\u{e74e}",
    /// Similarity (`target`)
    SIMILARITY = "\u{e47c}",
    /// A place in a picture (`crosshair`)
    CROSSHAIR = "\u{e1d6}",
    /// Colours (`palette`)
    PALETTE = "\u{e6c8}",
    /// Colour components (`swatches`)
    COLOURS = "\u{e5b8}",
    /// Pick a colour (`eyedropper`)
    EYEDROPPER = "\u{e568}",
    /// Blend of overlay and picture (`drop-half`)
    BLEND = "\u{e566}",
    /// Contrast (`circle-half`)
    CONTRAST = "\u{e18c}",
    /// A colour scale (`gradient`)
    GRADIENT = "\u{eb42}",
    /// Locked (`lock-simple`)
    LOCK = "\u{e308}",
    /// Unlocked (`lock-simple-open`)
    UNLOCK = "\u{e30a}",
    /// Pin (`push-pin`)
    PIN = "\u{e3e2}",
    /// Unpin (`push-pin-slash`)
    UNPIN = "\u{e3e4}",
    /// Matches, linked (`link-simple`)
    MATCHES = "\u{e2e6}",
    /// Not linked (`link-simple-break`)
    UNLINK = "\u{e2e8}",
    /// A graph (`graph`)
    GRAPH = "\u{eb58}",
    /// Hand on (`share-fat`)
    SEND = "\u{ed52}",
    /// Swipe between two pictures (`square-half`)
    SWIPE = "\u{e462}",
    /// Beside each other (`columns`)
    SIDE_BY_SIDE = "\u{e546}",
    /// One over the other (`selection-background`)
    OVERLAY = "\u{eaf8}",
    /// Rows (`rows`)
    ROWS = "\u{e5a2}",
    /// Layers (`stack`)
    LAYERS = "\u{e466}",
    /// Grid (`grid-four`)
    GRID = "\u{e296}",
    /// Patches (`grid-nine`)
    PATCHES = "\u{ec8c}",
    /// Tiles (`squares-four`)
    TILES = "\u{e464}",
    /// A model (`cube`)
    MODEL = "\u{e1da}",
    /// Look into a model (`cube-focus`)
    INSPECT = "\u{ed0a}",
    /// Features (`vector-three`)
    FEATURES = "\u{ee62}",
    /// Tokens (`dots-nine`)
    TOKENS = "\u{e1fc}",
    /// The network (`tree-structure`)
    NETWORK = "\u{e67c}",
    /// Do it for me (`magic-wand`)
    WAND = "\u{e6b6}",
    /// New (`sparkle`)
    SPARKLE = "\u{e6a2}",
    /// Select a part (`scan`)
    SCAN = "\u{ebb6}",
    /// Crop (`crop`)
    CROP = "\u{e1d4}",
    /// Selection (`selection`)
    SELECTION = "\u{e69a}",
    /// Resolution (`resize`)
    RESOLUTION = "\u{ed6e}",
    /// Search (`magnifying-glass`)
    SEARCH = "\u{e30c}",
    /// Zoom in (`magnifying-glass-plus`)
    ZOOM_IN = "\u{e310}",
    /// Zoom out (`magnifying-glass-minus`)
    ZOOM_OUT = "\u{e30e}",
    /// Fit into the window (`frame-corners`)
    ZOOM_FIT = "\u{e626}",
    /// Full screen (`arrows-out`)
    FULL_SCREEN = "\u{e0a2}",
    /// Leave full screen (`arrows-in`)
    LEAVE_FULL_SCREEN = "\u{e09a}",
    /// Move (`arrows-out-cardinal`)
    MOVE = "\u{e0a4}",
    /// Hand (`hand`)
    HAND = "\u{e298}",
    /// Grab (`hand-grabbing`)
    GRAB = "\u{e57c}",
    /// Click (`cursor-click`)
    CLICK = "\u{e7c8}",

    // The window.
    /// Menu (`list`)
    MENU = "\u{e2f0}",
    /// A list (`list-bullets`)
    LIST = "\u{e2f2}",
    /// More (`dots-three`)
    MORE = "\u{e1fe}",
    /// More, in a row (`dots-three-vertical`)
    MORE_VERTICAL = "\u{e208}",
    /// A handle to drag (`dots-six-vertical`)
    HANDLE = "\u{eae2}",
    /// Show or hide the panel at the side (`sidebar-simple`)
    SIDEBAR = "\u{ec24}",
    /// The panels' arrangement (`layout`)
    LAYOUT = "\u{e6d6}",
    /// A window (`app-window`)
    WINDOW = "\u{e5da}",
    /// Tabs (`tabs`)
    TABS = "\u{e778}",
    /// What one may change (`sliders-horizontal`)
    SLIDERS = "\u{e434}",
    /// Settings (`gear`)
    SETTINGS = "\u{e270}",
    /// Light theme (`sun`)
    SUN = "\u{e472}",
    /// Dark theme (`moon`)
    MOON = "\u{e330}",
    /// As the system has it (`desktop`)
    SYSTEM = "\u{e560}",
    /// Keyboard shortcuts (`keyboard`)
    KEYBOARD = "\u{e2d8}",
    /// The command palette (`command`)
    COMMAND = "\u{e1c4}",
    /// Language (`translate`)
    LANGUAGE = "\u{e4a2}",
    /// Notices (`bell`)
    BELL = "\u{e0ce}",
    /// Filter (`funnel`)
    FILTER = "\u{e266}",
    /// Sort (`sort-ascending`)
    SORT = "\u{e444}",
    /// Done, chosen (`check`)
    CHECK = "\u{e182}",
    /// All is well (`check-circle`)
    CHECK_CIRCLE = "\u{e184}",
    /// Close (`x`)
    CLOSE = "\u{e4f6}",
    /// Failed (`x-circle`)
    X_CIRCLE = "\u{e4f8}",
    /// Add (`plus`)
    PLUS = "\u{e3d4}",
    /// Remove (`minus`)
    MINUS = "\u{e32a}",
    /// The same (`equals`)
    EQUALS = "\u{e21c}",
    /// Spread (`plus-minus`)
    PLUS_MINUS = "\u{e3d8}",
    /// Information (`info`)
    INFO = "\u{e2ce}",
    /// A warning (`warning`)
    WARNING = "\u{e4e0}",
    /// An error (`warning-circle`)
    ERROR = "\u{e4e2}",
    /// Help (`question`)
    QUESTION = "\u{e3e8}",
    /// A hint (`lightbulb`)
    HINT = "\u{e2dc}",
    /// Favourite (`star`)
    STAR = "\u{e46a}",
    /// Liked (`heart`)
    HEART = "\u{e2a8}",
    /// Edit (`pencil-simple`)
    EDIT = "\u{e3b4}",
    /// Text (`text-aa`)
    TEXT = "\u{e6ee}",
    /// A number (`hash`)
    NUMBER = "\u{e2a2}",
    /// Caret up (`caret-up`)
    CARET_UP = "\u{e13c}",
    /// Caret down (`caret-down`)
    CARET_DOWN = "\u{e136}",
    /// Caret left (`caret-left`)
    CARET_LEFT = "\u{e138}",
    /// Caret right (`caret-right`)
    CARET_RIGHT = "\u{e13a}",
    /// Choose one of several (`caret-up-down`)
    CARET_UP_DOWN = "\u{e140}",
    /// Fold to the left (`caret-double-left`)
    CARET_DOUBLE_LEFT = "\u{e128}",
    /// Unfold to the right (`caret-double-right`)
    CARET_DOUBLE_RIGHT = "\u{e12a}",
    /// Arrow up (`arrow-up`)
    ARROW_UP = "\u{e08e}",
    /// Arrow down (`arrow-down`)
    ARROW_DOWN = "\u{e03e}",
    /// Arrow left (`arrow-left`)
    ARROW_LEFT = "\u{e058}",
    /// Arrow right (`arrow-right`)
    ARROW_RIGHT = "\u{e06c}",
    /// Leads elsewhere (`arrow-up-right`)
    ARROW_UP_RIGHT = "\u{e092}",
    /// Opens outside (`arrow-square-out`)
    OPEN_OUTSIDE = "\u{e5de}",
    /// To and fro (`arrows-left-right`)
    ARROWS_LEFT_RIGHT = "\u{e0a0}",
    /// Up and down (`arrows-down-up`)
    ARROWS_DOWN_UP = "\u{e098}",
    /// Undo (`arrow-u-up-left`)
    UNDO = "\u{e08a}",

    // The machine.
    /// Processor (`cpu`)
    CPU = "\u{e610}",
    /// Graphics card (`graphics-card`)
    GPU = "\u{e612}",
    /// Memory (`memory`)
    MEMORY = "\u{e9c4}",
    /// Temperature (`thermometer`)
    TEMPERATURE = "\u{e5c6}",
    /// Power (`lightning`)
    POWER = "\u{e2de}",
    /// No network (`wifi-slash`)
    OFFLINE = "\u{e4f2}",
    /// Not connected (`plugs`)
    DISCONNECTED = "\u{eb56}",
    /// The web (`globe`)
    GLOBE = "\u{e288}",
    /// A browser (`browser`)
    BROWSER = "\u{e0f4}",
    /// A screen (`monitor`)
    MONITOR = "\u{e32e}",
    /// A phone (`device-mobile`)
    PHONE = "\u{e1e0}",
    /// Log (`terminal-window`)
    TERMINAL = "\u{eae8}",
    /// What happened (`scroll`)
    LOG = "\u{eb7a}",
    /// Code (`code`)
    CODE = "\u{e1bc}",
    /// Report a fault (`bug`)
    BUG = "\u{e5f4}",
    /// Repair (`wrench`)
    WRENCH = "\u{e5d4}",
    /// Tools (`toolbox`)
    TOOLS = "\u{eca0}",
    /// Working (`spinner-gap`)
    SPINNER = "\u{e66c}",
    /// Quit (`power`)
    QUIT = "\u{e3da}",
    /// Guide (`book-open`)
    GUIDE = "\u{e0e6}",
    /// GitHub (`github-logo`)
    GITHUB = "\u{e576}",
}
