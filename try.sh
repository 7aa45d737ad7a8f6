# name behaviour yaml args...
name=$1; beh=$2; yaml=$3; shift 3
rm -rf /tmp/r1/$name; mkdir -p /tmp/r1/$name
/work/wt/r-load/.venv/bin/python /tmp/r1/mock.py "$beh" > /tmp/r1/$name/url & M=$!
for i in $(seq 100); do [ -s /tmp/r1/$name/url ] && break; sleep 0.1; done
echo "$yaml" > /tmp/r1/$name/c.yaml
cd /tmp/r1/$name
/work/wt/r-load/.venv/bin/sizeup-bench run --scenario c.yaml --url $(cat url) --out /tmp/r1/$name/out "$@" > log 2>&1; echo rc $? >> log
kill $M
