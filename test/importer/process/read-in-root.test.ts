import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readInRoot } from '../../../src/importer/process/read-in-root.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** A root with `etc`, and a file next to it that must never be read. */
async function withRoot(run: (root: string) => void | Promise<void>): Promise<void> {
  await using directory = await temporaryDirectory()
  const root = join(directory.path, 'root')
  mkdirSync(join(root, 'etc'), { recursive: true })
  writeFileSync(join(directory.path, 'secret'), "the host's")
  await run(root)
}

describe("files of an image, read on the host's side", () => {
  it('reads a file', async () =>
    await withRoot(root => {
      writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:\n')
      assert.equal(readInRoot(root, '/etc/passwd'), 'root:x:0:0::/:\n')
    }))

  it('has nothing to read where nothing is', async () =>
    await withRoot(root => {
      assert.equal(readInRoot(root, '/etc/passwd'), undefined)
      assert.equal(readInRoot(root, '/nope/passwd'), undefined)
    }))

  it('Q11: follows symlinks as a chroot does, also absolute ones', async () =>
    await withRoot(root => {
      mkdirSync(join(root, 'usr/lib'), { recursive: true })
      writeFileSync(join(root, 'usr/lib/passwd'), "the image's")
      symlinkSync('/usr/lib/passwd', join(root, 'etc/passwd'))
      symlinkSync('../../../../../usr/lib', join(root, 'etc/dir'))
      assert.equal(readInRoot(root, '/etc/passwd'), "the image's")
      assert.equal(readInRoot(root, '/etc/dir/passwd'), "the image's")
    }))

  it('CVE-2024-9676: never reads outside, and never waits for a FIFO', async () =>
    await withRoot(root => {
      for (const [name, target] of [
        ['up', '../../secret'],
        ['far', '../../../../../../../../etc/hostname'],
        ['absolute', '/secret'],
        ['self', 'self'],
        ['dots', '../..'],
      ] as const) {
        symlinkSync(target, join(root, 'etc', name))
        assert.equal(readInRoot(root, `/etc/${name}`), undefined, name)
      }
      execFileSync('mkfifo', [join(root, 'etc/passwd')])
      mkdirSync(join(root, 'etc/group'))
      assert.equal(readInRoot(root, '/etc/passwd'), undefined)
      assert.equal(readInRoot(root, '/etc/group'), undefined)
    }))

  it('opens no socket and no device, which a container may have made of it', async () =>
    await withRoot(async root => {
      const server = createServer().unref().listen(join(root, 'etc/passwd'))
      await once(server, 'listening')
      execFileSync('mknod', [join(root, 'etc/group'), 'c', '1', '5'])
      assert.equal(readInRoot(root, '/etc/passwd'), undefined)
      assert.equal(readInRoot(root, '/etc/group'), undefined)
      server.close()
    }))

  it('refuses a file that is larger than it needs to be', async () =>
    await withRoot(root => {
      writeFileSync(join(root, 'etc/passwd'), Buffer.alloc(1024 * 1024 + 1))
      assert.throws(() => readInRoot(root, '/etc/passwd'), { code: 'too_large' })
    }))
})
