/** Making and destroying a clone, killed at each of the `zfs` commands. The tables are in docs/crash-matrix.md. */
import assert from 'node:assert/strict'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { readFiles } from '../../support/read-files.ts'
import { zfs } from '../../support/zfs.ts'
import { bystander } from './images.ts'
import type { Opened, Operation } from './operation.ts'
import { crashMatrix, type MatrixContext } from './suite.ts'

const name = parseCloneName('subject')
const quota = 64 * 1024 * 1024
const titles = ['Clone', 'Clone with a quota and a mountpoint', 'Destroying a clone'] as const

crashMatrix('clones', titles, context => [
  cloneOf(titles[0], context, {}),
  cloneOf(titles[1], context, { quota, mountpoint: `${context.pool.mountpoint}/elsewhere` }),
  destroyOf(titles[2], context),
])

function cloneOf(
  title: string,
  { nameOf }: MatrixContext,
  options: { readonly quota?: number; readonly mountpoint?: string },
): Operation {
  return {
    title,
    work: { kind: 'clone', image: nameOf(bystander), name, ...options },
    progress,
    check: async ({ importer }) => {
      const { rootfs, dataset, mountpoint } = await importer.inspectClone(name)
      assert.deepEqual(readFiles(rootfs), bystander.content)
      const properties = await zfs('get', '-Hp', '-o', 'value', 'mounted,quota', dataset)
      assert.deepEqual(properties.trim().split('\n'), ['yes', String(options.quota ?? 0)])
      if (options.mountpoint !== undefined) assert.equal(mountpoint, options.mountpoint)
    },
    reset: async ({ importer }) => await importer.destroyClone(name),
  }
}

function destroyOf(title: string, { nameOf }: MatrixContext): Operation {
  return {
    title,
    work: { kind: 'destroy-clone', name },
    prepare: async ({ importer }) => {
      await importer.clone(nameOf(bystander), name)
    },
    progress,
    check: async ({ importer }) => {
      assert.ok((await importer.clones()).every(clone => clone.name !== name))
    },
    takes: [`clones/${name}`],
  }
}

async function progress({ importer }: Opened): Promise<string> {
  const clone = (await importer.clones()).find(other => other.name === name)
  if (clone === undefined) return 'no clone'
  const mounted = (await zfs('get', '-H', '-o', 'value', 'mounted', clone.dataset)).trim()
  return mounted === 'yes' ? 'clone, mounted' : 'clone, not mounted'
}
