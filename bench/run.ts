/**
 * Runs the benchmarks, or those named as arguments: `make bench`, `node bench/run.ts import`. Each prints its
 * table; they run one after the other, so that none disturbs another.
 */
const benchmarks: Readonly<Record<string, { readonly about: string; readonly run: () => Promise<unknown> }>> =
  {
    import: {
      about: 'one large layer, and one of 100,000 small files, beside what others do with it',
      run: async () => await (await import('./import.ts')).run(),
    },
    clone: {
      about: 'clones beside cp -a and containerd, by the size of the image, and 400 of one image',
      run: async () => await (await import('./clone.ts')).run(),
    },
    'pull-through': {
      about: 'one cold image that many pull at once, beside docker-registry and beside its upstream itself',
      run: async () => await (await import('./pull-through.ts')).run(),
    },
    registry: {
      about: 'the registry beside its peers',
      run: async () => await (await import('./registry.ts')).run(),
    },
    authentication: {
      about:
        'the registry that asks who is there, with tokens and with passwords, beside one that asks nobody',
      run: async () => await (await import('./authentication.ts')).run(),
    },
    mirror: {
      about: 'mirrors and copies beside regsync, skopeo and crane, by time and by what the source is asked',
      run: async () => await (await import('./mirror.ts')).run(),
    },
    gc: {
      about: 'the garbage collection, and how long pushes and pulls take while it runs',
      run: async () => await (await import('./gc.ts')).run(),
    },
    storage: {
      about: 'S3 beside docker-registry on the same server, databases and workers beside each other',
      run: async () => await (await import('./storage.ts')).run(),
    },
  }

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => benchmarks[name] === undefined)
if (unknown.length > 0) {
  console.error(`No benchmark ${unknown.join(', ')}. There are:`)
  for (const [name, { about }] of Object.entries(benchmarks)) console.error(`  ${name.padEnd(10)} ${about}`)
  process.exit(2)
}
for (const [name, { about, run }] of Object.entries(benchmarks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.log(`\n${name}: ${about}`)
  await run()
}
