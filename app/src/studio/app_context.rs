//! What both sides of the studio share: devices, messages, what is remembered, what draws.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use dinoscope_core::device::{self, DeviceChoice, GpuAdapter, SelectedDevice};

use super::StartupOptions;
use super::addresses::AddressOpener;
use super::settings_store::SettingsStore;
use super::toasts::ToastQueue;
use super::undo::{UndoStack, UndoTargets};
use crate::platform::dialogs::FileDialogs;
use crate::platform::tasks::Wake;
use crate::platform::{devices, storage};

/// What draws the window.
#[derive(Clone, Default)]
pub struct RenderBackend {
    /// The GPU, its queue and egui's textures; nothing where the processor draws.
    pub gpu: Option<eframe::egui_wgpu::RenderState>,
    /// Where whoever opened the GPU says that it is gone.
    pub lost: Option<Arc<Mutex<Option<String>>>>,
}

impl RenderBackend {
    /// For the title and the About panel.
    pub fn name(&self) -> String {
        match &self.gpu {
            Some(gpu) => {
                let info = gpu.adapter.get_info();
                format!("{} ({})", info.name, info.backend)
            }
            None => "the processor (software drawing)".to_owned(),
        }
    }

    /// Whether a program acts as the GPU.
    pub fn is_software(&self) -> bool {
        self.gpu.as_ref().is_none_or(|gpu| gpu.adapter.get_info().device_type == wgpu::DeviceType::Cpu)
    }
}

/// What can compute, and what does.
pub struct ComputeDevices {
    /// All adapters.
    pub adapters: Vec<GpuAdapter>,
    /// What was asked for.
    pub choice: DeviceChoice,
    /// What computes.
    pub chosen: SelectedDevice,
    /// Whether it is the GPU that draws, so that results need not leave it.
    pub draws: bool,
    /// The drawing GPU as a device, once it was asked for: it can be handed over once only.
    shared: RefCell<Option<SelectedDevice>>,
}

/// Something that was asked for and could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFailure {
    /// What it was: a file, weights, a run, an evaluation.
    pub what: String,
    /// Why.
    pub reason: String,
    /// Whether it is something that a person named, and could name otherwise.
    pub input: bool,
}

/// Shared by everything in the window.
pub struct AppContext {
    /// What draws.
    pub drawing: RenderBackend,
    /// What computes.
    pub devices: ComputeDevices,
    /// News for the person.
    pub toasts: ToastQueue,
    /// What can be taken back.
    pub undo: UndoStack,
    /// Kept between starts.
    pub remembered: SettingsStore,
    /// Choosing files.
    pub dialogs: Rc<FileDialogs>,
    /// What addresses name, on its way here.
    pub addresses: AddressOpener,
    /// Draws the window again; from any thread.
    pub wake: Wake,
    /// Whether the About panel is open.
    pub about: bool,
    /// Whether nothing is remembered.
    pub fresh: bool,
    /// Why the GPU that draws is gone, when it is.
    pub drawing_lost: Arc<Mutex<Option<String>>>,
    /// A device that was chosen and that both sides have yet to hear of.
    pub device_changed: bool,
    /// What could not be had. Only where nobody sees the window: there a toast says it.
    pub failures: Vec<RequestFailure>,
}

impl AppContext {
    /// Looks at the machine and opens what computes.
    pub fn new(ctx: &egui::Context, drawing: RenderBackend, startup: &StartupOptions, wake: Wake) -> Self {
        let path = (!startup.fresh).then(storage::settings_file).flatten();
        let remembered = SettingsStore::open(path);
        if !startup.fresh {
            let remembered_theme = remembered.get::<egui::ThemePreference>("theme");
            ctx.set_theme(startup.theme.or(remembered_theme).unwrap_or_default());
            if let Some(zoom) = remembered.get::<f32>("zoom").filter(|zoom| (0.5..=3.0).contains(zoom)) {
                ctx.set_zoom_factor(zoom);
            }
        }
        let mut toasts = ToastQueue::default();
        let choice =
            startup.device.or_else(|| remembered.get::<String>("device").and_then(|name| name.parse().ok()));
        let mut compute = ComputeDevices {
            adapters: devices::adapters(drawing.gpu.as_ref()),
            choice: DeviceChoice::Cpu,
            chosen: device::cpu(None),
            draws: false,
            shared: RefCell::default(),
        };
        if let Err(error) = compute.choose(choice.unwrap_or_default(), &drawing) {
            toasts.watch(format!("{error} Computing on the processor."));
        }
        ::log::info!("drawing with {}, computing on {}", drawing.name(), compute.chosen.name);
        if let Some(note) = &compute.chosen.note {
            ::log::info!("{note}");
        }
        let dialogs = Rc::new(FileDialogs::new(
            wake.clone(),
            startup.fresh,
            remembered.get("folders").unwrap_or_default(),
        ));
        let drawing_lost = drawing.lost.clone().unwrap_or_default();
        Self {
            drawing,
            drawing_lost,
            devices: compute,
            toasts,
            undo: UndoStack::default(),
            remembered,
            dialogs,
            addresses: AddressOpener::new(wake.clone()),
            wake,
            about: false,
            fresh: startup.fresh,
            device_changed: false,
            failures: Vec::new(),
        }
    }

    /// Notes what could not be had, for who does not see the window; `input` is something that a person named.
    pub fn failed(&mut self, what: impl Into<String>, reason: impl Into<String>, input: bool) {
        if self.fresh {
            self.failures.push(RequestFailure { what: what.into(), reason: reason.into(), input });
        }
    }

    /// Says what was taken away, and how it comes back.
    pub fn offer_undo(&mut self, said: impl Into<String>, back: impl FnOnce(&mut UndoTargets<'_>) + 'static) {
        self.undo.offer(&mut self.toasts, said, back);
    }

    /// Computes on another device; what is running finishes where it is.
    pub fn choose_device(&mut self, choice: DeviceChoice) {
        match self.devices.choose(choice, &self.drawing) {
            Ok(()) => {
                ::log::info!("computing on {}", self.devices.chosen.name);
                self.remembered.set("device", &choice.to_string());
                self.device_changed = true;
            }
            Err(error) => self.toasts.bad(error),
        }
    }

    /// Once a frame.
    pub fn logic(&mut self, ctx: &egui::Context) {
        let zoom = ctx.zoom_factor();
        if self.remembered.get::<f32>("zoom") != Some(zoom) {
            self.remembered.set("zoom", &zoom);
        }
        if let Some(folders) = self.dialogs.moved() {
            self.remembered.set("folders", &folders);
        }
        self.remember_frame(ctx);
        let theme = ctx.options(|options| options.theme_preference);
        if self.remembered.get::<egui::ThemePreference>("theme") != Some(theme) {
            self.remembered.set("theme", &theme);
        }
    }
}

/// How large the window is, in points of the system.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct WindowGeometry {
    /// Width and height, while it is not maximised.
    pub size: [f32; 2],
    /// Whether it takes the whole screen.
    pub maximised: bool,
}

impl WindowGeometry {
    /// The window's, as it was remembered; within what can be shown.
    pub fn remembered(remembered: &SettingsStore, first: [f32; 2], least: [f32; 2]) -> Self {
        let kept = remembered.get::<Self>("window").filter(|frame| frame.size.iter().all(|s| s.is_finite()));
        let mut frame = kept.unwrap_or(Self { size: first, maximised: false });
        for (side, least) in frame.size.iter_mut().zip(least) {
            *side = side.clamp(least, 16_384.0);
        }
        frame
    }
}

impl AppContext {
    fn remember_frame(&mut self, ctx: &egui::Context) {
        let zoom = ctx.zoom_factor();
        let (size, maximised) = ctx.input(|input| {
            let viewport = input.viewport();
            let whole = viewport.maximized == Some(true) || viewport.fullscreen == Some(true);
            (input.content_rect().size() * zoom, whole)
        });
        let before = self.remembered.get::<WindowGeometry>("window");
        let size = size.into();
        let now = match before {
            Some(before) if maximised => WindowGeometry { maximised, ..before },
            _ => WindowGeometry { size, maximised },
        };
        if before != Some(now) && size[0] > 0.0 && size[1] > 0.0 {
            self.remembered.set("window", &now);
        }
    }
}

impl ComputeDevices {
    /// Whether a GPU, or a program that acts as one, computes.
    pub fn on_gpu(&self) -> bool {
        self.adapter(self.choice).is_some()
    }

    /// What a run computes on. Where the chosen GPU draws as well, the run gets a device of its own on it.
    pub fn for_training(&self) -> SelectedDevice {
        let own = if self.draws { devices::for_training(self.choice) } else { None };
        match own {
            None => self.chosen.clone(),
            Some(Ok(chosen)) => chosen,
            Some(Err(error)) => {
                ::log::warn!("the run shares the window's device: {error}");
                self.chosen.clone()
            }
        }
    }

    /// The adapter that a choice means; nothing for the CPU.
    fn adapter(&self, choice: DeviceChoice) -> Option<&GpuAdapter> {
        match choice {
            DeviceChoice::Cpu => None,
            DeviceChoice::Gpu(index) => self.adapters.get(index),
            DeviceChoice::Auto => self.adapters.iter().find(|a| a.is_hardware()),
        }
    }

    fn choose(&mut self, choice: DeviceChoice, drawing: &RenderBackend) -> Result<(), String> {
        let wanted = self.adapter(choice);
        let draws = match (&drawing.gpu, wanted) {
            (Some(gpu), Some(wanted)) => devices::draws(gpu, wanted),
            _ => false,
        };
        // Opening a device can panic deep inside a driver; the window must outlive that.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match &drawing.gpu {
            Some(gpu) if draws => self.share(gpu),
            _ => device::choose(choice),
        }));
        self.chosen = match opened {
            Ok(chosen) => chosen.map_err(|error| error.to_string())?,
            Err(panic) => return Err(device::panic_text(panic)),
        };
        (self.choice, self.draws) = (choice, draws);
        Ok(())
    }

    fn share(&self, gpu: &eframe::egui_wgpu::RenderState) -> Result<SelectedDevice, device::DeviceError> {
        if let Some(chosen) = self.shared.borrow().as_ref() {
            return Ok(chosen.clone());
        }
        let chosen =
            device::shared(gpu.instance.clone(), gpu.adapter.clone(), gpu.device.clone(), gpu.queue.clone())?;
        *self.shared.borrow_mut() = Some(chosen.clone());
        Ok(chosen)
    }
}
