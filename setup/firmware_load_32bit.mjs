// The load of setup/firmware_load.py in a 32-bit MicroPython: node setup/firmware_load_32bit.mjs PACKAGE IMAGE CACHE [KB]
// PACKAGE: the unpacked `npm pack @micropython/micropython-webassembly-pyscript@1.27.0`; IMAGE: build/firmware/pico;
// CACHE: `python setup/firmware_memory.py CACHE` writes it. That build has no AES: a stand-in takes its place.
// It collects between two calls only, so every step is one; it prints what firmware_load.py prints, and the least free.
import fs from "node:fs";
import path from "node:path";

const [packageFolder, image, cache, kilobytes] = process.argv.slice(2);
const { loadMicroPython } = await import(path.resolve(packageFolder, "micropython.mjs"));
const mp = await loadMicroPython({ heapsize: Number(kilobytes ?? 192) * 1024, linebuffer: true, stdout: console.log });

function copy(from, to) {
  mp.FS.mkdir(to);
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), `${to}/${entry.name}`];
    if (entry.isDirectory()) copy(source, target);
    else mp.FS.writeFile(target, fs.readFileSync(source));
  }
}

copy(image, "/image");
mp.FS.mkdir("/files");
mp.FS.writeFile("/cache", fs.readFileSync(cache));
const collect = () => mp.runPython("import gc; gc.collect()");
mp.runPython(`
import sys
import os as unchanged
class cryptolib:
    @staticmethod
    def aes(key, mode):
        class Standin:
            def encrypt(self, data):
                return bytes([byte ^ key[i & 15] for i, byte in enumerate(data)])
            decrypt = encrypt
        return Standin()
sys.modules["cryptolib"] = cryptolib
class System:
    def __getattr__(self, name):
        return getattr(unchanged, name)
system = System()
system.urandom = bytes
sys.modules["os"] = system
__name__ = "load"
ARGUMENTS = ["", "/image", "/cache", "/files"]
`);
const source = fs.readFileSync(new URL("firmware_load.py", import.meta.url), "utf8").replaceAll("sys.argv", "ARGUMENTS");
const parts = source.split(/^(?=import board$|node = BoardDoorNode|started = )/m);
for (const part of parts) {
  collect();
  mp.runPython(part);
}
mp.runPython("least = gc.mem_free(); going = True");
for (let step = 0; mp.globals.get("going"); step += 1) {
  mp.runPython("going = next(steps, steps) is not steps");
  collect();
  mp.runPython("now = gc.mem_alloc(); peak = max(peak, now); least = min(least, gc.mem_free())");
}
mp.runPython("print(told(), 'least free', least)");
