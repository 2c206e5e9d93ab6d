import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { makeOwnedFolder } from '../../src/core/owned-folder.ts'
import { temporaryFolder } from '../support/model-folder.ts'

async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  return child.pid ?? 0
}

test('folders of processes that died here go when the next one is made, and no others', async () => {
  const parent = await temporaryFolder()
  const dead = await endedProcess()
  const owners: Readonly<Record<string, string | undefined>> = {
    'work-dead': `${dead} ${hostname()}`,
    'work-alive': `${process.ppid} ${hostname()}`,
    'work-elsewhere': `${dead} another-host`,
    'work-unmarked': undefined,
    'work-damaged': 'x',
    'other-dead': `${dead} ${hostname()}`,
  }
  for (const [name, owner] of Object.entries(owners)) {
    await mkdir(join(parent, name, 'models'), { recursive: true })
    if (owner !== undefined) await writeFile(join(parent, name, 'owner.pid'), owner)
  }
  const first = await makeOwnedFolder(parent, 'work-')
  const second = await makeOwnedFolder(parent, 'work-')
  const left = [
    ...Object.keys(owners).filter((name) => name !== 'work-dead'),
    basename(first),
    basename(second),
  ]
  assert.deepEqual((await readdir(parent)).sort(), left.sort())
})
