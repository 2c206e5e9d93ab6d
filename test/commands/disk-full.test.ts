import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { cannotMount, onSmallDisk } from '../support/small-disk.ts'
import { writeTinyEncoder } from '../support/tiny-encoder.ts'

const colours = ['red', 'green', 'blue', 'white', 'black']
const things = 'chair table lamp door box bag cup book shoe clock pen bowl'.split(' ')
const rows = things.flatMap((thing) => [
  ...colours.map((colour) => ({ text: `a ${colour} ${thing}`, labels: ['colour'] })),
  ...colours.map((place) => ({ text: `the ${thing} near the ${place} house`, labels: ['place'] })),
])

const diskBytes = 24 * 1_048_576
/** Less than any version of the model needs. */
const leftBytes = 262_144

/** $0 is the disk; $1 the program, $2 the data, $3 the encoder, $4 where the answers go, $5 what stays free. */
const script = `
train() {
  name=$1; seed=$2
  node "$program" retrain --data "$data" --base "$encoder" --name things --models-folder "$disk/models" \
    --strategy full-linear --epochs 2 --seed "$seed" --promote --json > "$answers/$name.out" 2> "$answers/$name.err"
  echo $? > "$answers/$name.status"
  find "$disk/models" -mindepth 1 | sort > "$answers/$name.files"
  cat "$disk/models/things/champion" > "$answers/$name.champion"
}
disk=$0; program=$1; data=$2; encoder=$3; answers=$4
cd "$disk"
mkdir models
train before 1
dd if=/dev/zero of="$disk/filler" bs=65536 2> /dev/null
truncate --size=-"$5" "$disk/filler"
train full 2
node "$program" models verify things --models-folder "$disk/models" > "$answers/verify.out" 2>&1
echo $? > "$answers/verify.status"
`

test('a full disk: training says so in one line, and the champion and its files are as they were', async (t) => {
  const reason = cannotMount()
  if (reason !== undefined) {
    t.skip(reason)
    return
  }
  const folder = await temporaryFolder()
  const [disk, answers] = [join(folder, 'disk'), join(folder, 'answers')]
  await Promise.all([mkdir(disk), mkdir(answers)])
  const data = join(folder, 'rows.jsonl')
  await writeFile(data, rows.map((row) => JSON.stringify(row)).join('\n'))
  const encoder = await writeTinyEncoder(folder)
  const program = join(packageRoot, 'dist', 'cli.js')
  const ran = await onSmallDisk(disk, diskBytes, script, [program, data, encoder, answers, String(leftBytes)])
  assert.equal(ran.status, 0, ran.stderr)

  const answer = (file: string): Promise<string> => readFile(join(answers, file), 'utf8')
  assert.equal(await answer('before.status'), '0\n', await answer('before.err'))
  const errors = (await answer('full.err')).split('\n').filter((line) => line.startsWith('labelstream: '))
  assert.equal(errors.length, 1, await answer('full.err'))
  assert.match(errors[0] ?? '', /FILE_UNREADABLE: .*things.* cannot be written: ENOSPC/)
  assert.doesNotMatch(await answer('full.err'), /^\s+at /m)
  assert.equal(await answer('full.status'), '2\n')
  assert.equal(await answer('full.files'), await answer('before.files'))
  assert.equal(await answer('full.champion'), await answer('before.champion'))
  assert.equal(await answer('verify.status'), '0\n', await answer('verify.out'))
})
