import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { searchPath } from '../support/programs.ts'
import type { MachineFiles } from './build-machine.ts'
import { lastLines } from './logged.ts'

/** How qemu runs the machine's instructions. */
export interface Accelerator {
  readonly name: 'kvm' | 'tcg'
  readonly option: string
  /** Until the kernel's first line. */
  readonly kernelSeconds: number
  /** From there until ssh answers. */
  readonly bootSeconds: number
}

/**
 * The fast one first. `/dev/kvm` may be there and not run a stock kernel (on a host that is a guest itself), which shows
 * in that the kernel never says a word.
 */
export async function accelerators(): Promise<readonly Accelerator[]> {
  const kvm: Accelerator = { name: 'kvm', option: 'kvm', kernelSeconds: 15, bootSeconds: 180 }
  const tcg: Accelerator = { name: 'tcg', option: 'tcg,thread=multi', kernelSeconds: 180, bootSeconds: 900 }
  const hasKvm = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
  return hasKvm ? [kvm, tcg] : [tcg]
}

export interface QemuOptions {
  readonly files: MachineFiles
  readonly accelerator: Accelerator
  /** Of 127.0.0.1, forwarded to the machine's ssh. */
  readonly port: number
  /** Becomes the machine's `/dev/vdb`, read only. */
  readonly data: string
  /** What the machine prints on its serial line. */
  readonly console: string
}

/**
 * Starts qemu and waits for the kernel's first line. What the machine writes to its disk goes to a file that has no name
 * and ends with qemu, which ends with this process. The machine reaches no network.
 *
 * @throws Error with what qemu and the machine have printed, when there is no such line in time.
 */
export async function startQemu(options: QemuOptions, signal: AbortSignal): Promise<ChildProcess> {
  const { accelerator, console: consoleFile } = options
  const qemu = spawn('setpriv', ['--pdeathsig=KILL', 'nice', '-n', '5', ...commandLine(options)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: searchPath, TMPDIR: tmpdir() },
  })
  let complaints = ''
  qemu.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-2000)
  })
  try {
    await once(qemu, 'spawn')
    const giveUp = Date.now() + accelerator.kernelSeconds * 1000
    while (!(await readFile(consoleFile, 'utf8').catch(() => '')).includes('Linux version')) {
      signal.throwIfAborted()
      if (hasEnded(qemu)) throw new Error(`qemu (${accelerator.name}) ended: ${complaints.trim()}`)
      if (Date.now() > giveUp)
        throw new Error(
          `qemu (${accelerator.name}): no kernel after ${accelerator.kernelSeconds} s. ${complaints.trim()}\n${await lastLines(consoleFile)}`,
        )
      await sleep(100)
    }
    return qemu
  } catch (error) {
    await endQemu(qemu)
    throw error
  }
}

/** There is nothing to be saved on a disk that goes with it. */
export async function endQemu(qemu: ChildProcess): Promise<void> {
  if (hasEnded(qemu)) return
  const ended = once(qemu, 'exit')
  qemu.kill('SIGKILL')
  await ended
}

export function hasEnded(process: ChildProcess): boolean {
  return process.exitCode !== null || process.signalCode !== null
}

function commandLine({ files, accelerator, port, data, console: consoleFile }: QemuOptions): string[] {
  return [
    'qemu-system-x86_64',
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-accel', accelerator.option, '-cpu', 'max,pku=off', '-smp', '2', '-m', '4096'],
    ...['-kernel', files.kernel, '-initrd', files.initrd],
    ...['-append', 'root=/dev/vda rw console=ttyS0 panic=-1 mitigations=off'],
    ...['-drive', `file=${files.disk},format=raw,if=virtio,snapshot=on`],
    ...['-drive', `file=${data},format=raw,if=virtio,readonly=on`],
    ...['-netdev', `user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:${port}-:22`],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
    ...['-device', 'virtio-rng-pci'],
    ...['-chardev', `file,id=console,path=${consoleFile}`, '-serial', 'chardev:console'],
  ]
}
