import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../support/free-port.ts'
import { ensurePrograms } from '../support/programs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import type { MachineFiles } from './build-machine.ts'
import { lastLines } from './logged.ts'
import { type Accelerator, accelerators, endQemu, hasEnded, startQemu } from './qemu.ts'

export interface MachineStart {
  readonly files: MachineFiles
  /** A file that becomes the machine's `/dev/vdb`. Its length is a multiple of 512. */
  readonly data: string
  readonly report: (text: string) => void
  readonly signal: AbortSignal
}

export interface RunOptions {
  readonly limitSeconds: number
  /** What the command prints, on either stream, as it comes. */
  readonly onOutput: (chunk: Buffer) => void
}

/** What ssh exits with when it is at fault itself. */
const sshFailed = 255

/** A running machine with OpenZFS. Commands run in it as root. */
export class Machine implements AsyncDisposable {
  readonly accelerator: Accelerator['name']
  readonly #qemu: ChildProcess
  readonly #directory: TemporaryDirectory
  readonly #ssh: readonly string[]
  readonly #signal: AbortSignal

  private constructor(
    qemu: ChildProcess,
    directory: TemporaryDirectory,
    ssh: readonly string[],
    accelerator: Accelerator,
    signal: AbortSignal,
  ) {
    this.#qemu = qemu
    this.#directory = directory
    this.#ssh = ssh
    this.accelerator = accelerator.name
    this.#signal = signal
  }

  /**
   * Boots the machine and waits until it takes commands. The files that it is made of are not changed.
   *
   * @param start its `signal` ends the start and all commands, not the machine: that is for {@link stop}.
   * @throws Error with the end of its console when it does not come up.
   */
  static async start(start: MachineStart): Promise<Machine> {
    await ensurePrograms('qemu-system-x86_64', 'ssh')
    const failures: unknown[] = []
    for (const accelerator of await accelerators())
      try {
        return await Machine.#startWith(accelerator, await freePort(), start)
      } catch (error) {
        start.signal.throwIfAborted()
        failures.push(error)
        start.report(`not with ${accelerator.name}: ${firstLine(error)}`)
      }
    throw new AggregateError(
      failures,
      `the OpenZFS machine does not start: ${failures.map(String).join('\n')}`,
    )
  }

  static async #startWith(accelerator: Accelerator, port: number, start: MachineStart): Promise<Machine> {
    const { files, data, signal, report } = start
    const directory = await temporaryDirectory()
    try {
      const options = { files, accelerator, port, data, console: join(directory.path, 'console') }
      const qemu = await startQemu(options, signal)
      const machine = new Machine(qemu, directory, sshCommand(files, port), accelerator, signal)
      try {
        report(`booting with ${accelerator.name}`)
        await machine.#untilItAnswers(accelerator.bootSeconds)
        return machine
      } catch (error) {
        await endQemu(qemu)
        throw error
      }
    } catch (error) {
      await directory.remove()
      throw error
    }
  }

  /**
   * Runs a command line of the machine's shell and answers its exit status.
   *
   * @throws Error with the end of the machine's console when the command takes longer than its limit, or the machine
   * does not answer any more; the signal's reason.
   */
  async run(command: string, { limitSeconds, onOutput }: RunOptions): Promise<number> {
    this.#signal.throwIfAborted()
    const limit = AbortSignal.timeout(limitSeconds * 1000)
    const ssh = spawn('ssh', [...this.#ssh, command], { stdio: ['ignore', 'pipe', 'pipe'] })
    ssh.stdout.on('data', onOutput)
    ssh.stderr.on('data', onOutput)
    const stop = AbortSignal.any([limit, this.#signal])
    const kill = (): void => void ssh.kill('SIGKILL')
    stop.addEventListener('abort', kill)
    try {
      await once(ssh, 'close')
    } finally {
      stop.removeEventListener('abort', kill)
    }
    this.#signal.throwIfAborted()
    if (limit.aborted) throw await this.#failure(`${command}: not done after ${limitSeconds} s`)
    if (ssh.exitCode === sshFailed || ssh.exitCode === null)
      throw await this.#failure('does not answer any more')
    return ssh.exitCode
  }

  async stop(): Promise<void> {
    await endQemu(this.#qemu)
    await this.#directory.remove()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #untilItAnswers(seconds: number): Promise<void> {
    const giveUp = Date.now() + seconds * 1000
    for (;;) {
      const said: Buffer[] = []
      try {
        const options = { limitSeconds: 60, onOutput: (chunk: Buffer): void => void said.push(chunk) }
        if ((await this.run('true', options)) === 0) return
      } catch (cause) {
        this.#signal.throwIfAborted()
        if (hasEnded(this.#qemu)) throw await this.#failure('ended while it booted', cause)
        if (Date.now() > giveUp)
          throw await this.#failure(
            `no ssh after ${seconds} s: ${Buffer.concat(said).toString().trim()}`,
            cause,
          )
      }
      await sleep(500, undefined, { signal: this.#signal })
    }
  }

  async #failure(what: string, cause?: unknown): Promise<Error> {
    const console = await lastLines(join(this.#directory.path, 'console'))
    return new Error(`the OpenZFS machine: ${what}. The end of its console:\n${console}`, { cause })
  }
}

function sshCommand({ key, knownHosts }: MachineFiles, port: number): string[] {
  const options = {
    BatchMode: 'yes',
    ConnectTimeout: '10',
    HostKeyAlias: 'varve-openzfs',
    IdentitiesOnly: 'yes',
    IdentityFile: key,
    LogLevel: 'ERROR',
    ServerAliveInterval: '30',
    ServerAliveCountMax: '10',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: knownHosts,
  }
  const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return ['-F', 'none', ...flags, '-p', String(port), 'root@127.0.0.1', '--']
}

function firstLine(error: unknown): string {
  return String(error).split('\n', 1)[0] ?? ''
}
