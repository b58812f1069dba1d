FROM python:3.13.9-slim-bookworm
WORKDIR /product
COPY requirements.txt ./
RUN pip install --no-cache-dir --no-deps --requirement requirements.txt
COPY app.py gunicorn.conf.py ./
USER nobody
CMD ["gunicorn", "--config", "gunicorn.conf.py", "app:app"]
