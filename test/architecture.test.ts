import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { checkImports, type SourceFile } from './support/imports.ts'

const sources: SourceFile[] = globSync('src/**/*.ts').map(path => ({
  path,
  text: readFileSync(path, 'utf8'),
}))

describe('architecture', () => {
  it('every import keeps the dependency rule', () => {
    assert.deepEqual(checkImports(sources), [])
  })

  it('reports koa in storage, with the chain that leads to it', () => {
    const offending: SourceFile[] = [
      { path: 'src/registry/app.ts', text: `import { x } from '../storage/bad.ts'` },
      { path: 'src/storage/bad.ts', text: `import Koa from 'koa'\nexport const x = new Koa()` },
    ]
    assert.deepEqual(checkImports(offending), [
      'src/storage/bad.ts must not import koa (allowed in src/registry/, src/importer/agent/): src/registry/app.ts → src/storage/bad.ts → koa',
    ])
  })

  it('reports an import from storage up to the registry', () => {
    const offending: SourceFile[] = [
      { path: 'src/storage/bad.ts', text: `export type { A } from '../registry/a.ts'` },
      { path: 'src/registry/a.ts', text: 'export type A = 1' },
    ]
    assert.equal(checkImports(offending).length, 1)
  })

  it('reports process.env outside of the configuration', () => {
    const offending: SourceFile[] = [{ path: 'src/storage/bad.ts', text: `const x = process.env['HOME']` }]
    assert.deepEqual(checkImports(offending), [
      'src/storage/bad.ts must not read process.env (allowed in src/config.ts)',
    ])
  })

  it('reports a package that has no place in the table', () => {
    const offending: SourceFile[] = [{ path: 'src/cli.ts', text: `import x from 'left-pad'` }]
    assert.deepEqual(checkImports(offending), [
      'src/cli.ts imports left-pad, which has no place in the table of test/support/imports.ts',
    ])
  })
})
